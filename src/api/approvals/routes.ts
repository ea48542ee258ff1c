import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  approvalAccepted,
  approvalId,
  approvalList,
  approvalRequest,
  approvalResource,
  approvalStatus,
  approverId,
  decisionRequest,
  withdrawRequest,
} from '../../schemas/approval.js';
import { emptyQuery, pageQuery } from '../../schemas/shared/page.js';
import { callerId } from '../../schemas/shared/primitives.js';
import type { AppDependencies, Backends } from '../dependencies.js';
import { assertDecidesAsSelf } from '../http/caller.js';
import { toKeyReusedProblem } from '../plugins/idempotency.js';
import { readListPage } from '../http/lists/list-pages.js';
import { requestContextOf } from '../http/request-context.js';
import { withContract } from '../http/route-contract.js';
import { decideApproval, withdrawApproval } from './commands.js';
import { approvalFilterOf, type ListApprovals } from './list.js';
import { getApproval } from './read.js';
import { assertMayRequest, requestApproval } from './start.js';

const params = z.strictObject({ approvalId });
const response = { 200: approvalResource };

/** Routes of approvals: request, read, list, decide, withdraw. */
export async function approvalRoutes(
  instance: FastifyInstance,
  deps: Backends & Pick<AppDependencies, 'outgoing' | 'cursors'> & { listApprovals: ListApprovals },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { outgoing, cursors, listApprovals } = deps;

  app.post(
    '',
    {
      ...withContract({
        operationId: 'requestApproval',
        summary: 'Request an approval',
        description:
          'Notifies the approvers of the first stage. When a stage times out, notifies the approvers of the next stage. Approvers can request approvals only under their own id, operators under any id.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        dependencies: ['temporal', 'store'],
        problems: ['approval-id-taken'],
        idempotency: true,
        headers: { location: 'The URL of the approval.' },
      }),
      schema: { querystring: emptyQuery, body: approvalRequest, response: { 202: approvalAccepted } },
    },
    async (request, reply) => {
      const { body, caller, callIdentity } = request;
      assertMayRequest(caller, body, outgoing);
      const approvalId = body.approvalId ?? callIdentity?.resourceId ?? randomUUID();
      if (!body.approvalId) request.newResource = { path: '/v1/approvals', idField: 'approvalId', id: approvalId };
      const status = await requestApproval(deps, { ...body, approvalId }).catch((error: unknown) => {
        throw toKeyReusedProblem(error, callIdentity !== undefined && !body.approvalId) ?? error;
      });
      return reply.code(202).header('location', `/v1/approvals/${approvalId}`).send({ approvalId, status });
    },
  );

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listApprovals',
        summary: 'List approvals, newest first',
        description:
          'Operators see all approvals. Approvers see the approvals that wait for their decision, or with `requestedBy` the approvals that they requested.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        dependencies: ['temporal', 'store'],
      }),
      schema: {
        querystring: pageQuery.extend({
          status: approvalStatus.optional(),
          approver: approverId.optional().describe('Lists the pending approvals that this approver may decide.'),
          requestedBy: callerId.optional().describe('Lists the approvals of this requester.'),
        }),
        response: { 200: approvalList },
      },
    },
    async (request) => {
      const filter = approvalFilterOf(request.caller, request.query);
      return await readListPage(cursors, {
        list: 'approvals',
        filter,
        query: request.query,
        read: (page) => listApprovals(filter, page),
      });
    },
  );

  app.get(
    '/:approvalId',
    {
      ...withContract({
        operationId: 'getApproval',
        summary: 'Get an approval with its trail',
        description:
          'Approvers see the approvals that they requested, and the approvals that they are or were asked to decide.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        dependencies: ['worker', 'store'],
      }),
      schema: { params, querystring: emptyQuery, response },
    },
    async (request) => getApproval(deps, request.params.approvalId, requestContextOf(request)),
  );

  app.post(
    '/:approvalId/decision',
    {
      ...withContract({
        operationId: 'decideApproval',
        summary: 'Decide an approval',
        description:
          'Only the first decision counts. Repeating the same decision returns the same response. Callers can decide only for themselves.',
        tag: 'Approvals',
        access: ['approver'],
        dependencies: ['worker', 'store'],
        problems: [
          'not-an-approver',
          'self-approval',
          'already-decided',
          'approval-closed',
          'stage-passed',
          'update-limit',
          'conflict',
        ],
        idempotency: true,
      }),
      schema: { params, querystring: emptyQuery, body: decisionRequest, response },
    },
    async (request) => {
      request.loggedFields = { action: request.body.decision };
      assertDecidesAsSelf(request.caller, request.body.approver);
      const decision = { ...request.body, via: 'api' as const };
      return await decideApproval(deps, request.params.approvalId, decision, requestContextOf(request));
    },
  );

  app.post(
    '/:approvalId/withdraw',
    {
      ...withContract({
        operationId: 'withdrawApproval',
        summary: 'Withdraw an approval',
        description: 'Approvers can withdraw only the approvals that they requested.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        dependencies: ['worker', 'store'],
        problems: ['already-decided', 'approval-closed', 'update-limit', 'conflict'],
        idempotency: true,
      }),
      schema: { params, querystring: emptyQuery, body: withdrawRequest.nullish(), response },
    },
    async (request) => withdrawApproval(deps, request.params.approvalId, request.body ?? {}, requestContextOf(request)),
  );
}
