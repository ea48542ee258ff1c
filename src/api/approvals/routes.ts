import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { forbiddenUrls } from '../../approval-links/urls.js';
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
import { noQuery, pageQuery } from '../../schemas/page.js';
import { callerId } from '../../schemas/text.js';
import type { AppDependencies } from '../app.js';
import { decideApproval, getApproval, listApprovals, requestApproval, withdrawApproval } from './service.js';
import { askingOf } from '../plugins/asking.js';
import { assertActsAs, assertIs, restrictedTo } from '../plugins/auth/caller.js';
import { contract } from '../plugins/contract.js';
import { sealedPage } from '../plugins/cursor.js';
import { createEndedApprovals } from './ended.js';
import { invalidRequest } from '../plugins/errors.js';
import { takenByName } from '../plugins/idempotency.js';

const params = z.strictObject({ approvalId });
const response = { 200: approvalResource };

/** Routes of approvals: request, read, list, decide, withdraw. */
export async function approvalRoutes(instance: FastifyInstance, deps: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { store, outgoing, cursors } = deps;
  const recordEnded = createEndedApprovals(deps);

  app.post(
    '',
    {
      ...contract({
        operationId: 'requestApproval',
        summary: 'Ask for an approval',
        description:
          'Asks the first stage, and the next ones when its time is over. An approver asks in his own name, an operator in anybody’s.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        needs: ['temporal', 'store'],
        problems: ['approval-id-taken'],
        idempotent: true,
        headers: { location: 'Where the approval is.' },
      }),
      schema: { querystring: noQuery, body: approvalRequest, response: { 202: approvalAccepted } },
    },
    async (request, reply) => {
      const { body, caller, named } = request;
      assertActsAs(caller, body.requestedBy, 'requester');
      const problems = forbiddenUrls(body, outgoing);
      if (problems.length) throw invalidRequest(problems);
      const approvalId = body.approvalId ?? named?.resourceId ?? randomUUID();
      if (!body.approvalId) request.newResource = { path: '/v1/approvals', idField: 'approvalId', id: approvalId };
      const status = await requestApproval(deps, { ...body, approvalId }).catch((error: unknown) => {
        throw takenByName(error, named && !body.approvalId) ?? error;
      });
      return reply.code(202).header('location', `/v1/approvals/${approvalId}`).send({ approvalId, status });
    },
  );

  app.get(
    '',
    {
      ...contract({
        operationId: 'listApprovals',
        summary: 'List approvals, newest first',
        description:
          'An approver lists the approvals that wait for them, or with `requestedBy` those that they requested; an operator lists all.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        needs: ['temporal', 'store'],
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
      const { caller } = request;
      const { status, requestedBy } = request.query;
      const approver = request.query.approver ?? (requestedBy === undefined ? restrictedTo(caller) : undefined);
      if (approver !== undefined) assertActsAs(caller, approver, 'approver');
      else assertActsAs(caller, requestedBy, 'requester');
      const filter = { status, approver, requestedBy };
      return await sealedPage(cursors, 'approvals', filter, request.query, async (page) => {
        await recordEnded();
        return await listApprovals(store, filter, page);
      });
    },
  );

  app.get(
    '/:approvalId',
    {
      ...contract({
        operationId: 'getApproval',
        summary: 'An approval with its trail',
        description: 'An approver sees those that he is asked in, was asked in, or asks for.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        needs: ['worker', 'store'],
      }),
      schema: { params, querystring: noQuery, response },
    },
    async (request) => getApproval(deps, request.params.approvalId, askingOf(request)),
  );

  app.post(
    '/:approvalId/decision',
    {
      ...contract({
        operationId: 'decideApproval',
        summary: 'Decide',
        description:
          'The first decision wins, and the same one again gets the same answer. Everybody decides for himself.',
        tag: 'Approvals',
        access: ['approver'],
        needs: ['worker', 'store'],
        problems: [
          'not-an-approver',
          'own-request',
          'already-decided',
          'approval-closed',
          'stage-passed',
          'update-limit',
          'conflict',
        ],
        idempotent: true,
      }),
      schema: { params, querystring: noQuery, body: decisionRequest, response },
    },
    async (request) => {
      assertIs(request.caller, request.body.approver);
      const decision = { ...request.body, via: 'api' as const };
      return await decideApproval(deps, request.params.approvalId, decision, askingOf(request));
    },
  );

  app.post(
    '/:approvalId/withdraw',
    {
      ...contract({
        operationId: 'withdrawApproval',
        summary: 'Take the question back',
        description: 'An approver takes back what he asked himself.',
        tag: 'Approvals',
        access: ['operator', 'approver'],
        needs: ['worker', 'store'],
        problems: ['already-decided', 'approval-closed', 'update-limit', 'conflict'],
        idempotent: true,
      }),
      schema: { params, querystring: noQuery, body: withdrawRequest.nullish(), response },
    },
    async (request) => withdrawApproval(deps, request.params.approvalId, request.body ?? {}, askingOf(request)),
  );
}
