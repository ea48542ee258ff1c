import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { forbiddenUrls } from '../../approval-urls.js';
import {
  approvalId,
  approvalRequest,
  approvalResource,
  approvalStatus,
  approvalSummary,
  decisionRequest,
  withdrawRequest,
} from '../../schemas/approval.js';
import { pageOf, pageQuery } from '../../schemas/page.js';
import { id } from '../../schemas/text.js';
import type { AppDependencies } from '../app.js';
import { decideApproval, getApproval, listApprovals, requestApproval, withdrawApproval } from '../approvals.js';
import { decodeCursor, encodeCursor } from '../cursor.js';
import { invalidRequest } from '../errors.js';

const params = z.strictObject({ approvalId });
const accepted = z.object({ approvalId: z.string(), status: approvalStatus });
const response = { 200: approvalResource };

/** Approvals: ask, read, list, decide, withdraw. */
export async function approvalRoutes(instance: FastifyInstance, deps: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();
  const { client, outgoing } = deps;

  app.post('/', { schema: { body: approvalRequest, response: { 202: accepted } } }, async (request, reply) => {
    const problems = forbiddenUrls(request.body, outgoing);
    if (problems.length) throw invalidRequest(problems);
    const approvalId = request.body.approvalId ?? randomUUID();
    const status = await requestApproval(client, { ...request.body, approvalId });
    return reply.code(202).header('location', `/v1/approvals/${approvalId}`).send({ approvalId, status });
  });

  app.get(
    '/',
    {
      schema: {
        querystring: pageQuery.extend({ status: approvalStatus.optional(), approver: id.optional() }),
        response: { 200: pageOf(approvalSummary) },
      },
    },
    async (request) => {
      const { limit, cursor, ...filter } = request.query;
      const { items, nextPlace } = await listApprovals(client, filter, {
        limit,
        ...(cursor && { place: decodeCursor('approvals', cursor) }),
      });
      return { items, ...(nextPlace && { nextCursor: encodeCursor('approvals', nextPlace) }) };
    },
  );

  app.get('/:approvalId', { schema: { params, response } }, async (request) =>
    getApproval(client, request.params.approvalId),
  );

  app.post('/:approvalId/decision', { schema: { params, body: decisionRequest, response } }, async (request) =>
    decideApproval(client, request.params.approvalId, { ...request.body, via: 'api' }),
  );

  app.post(
    '/:approvalId/withdraw',
    { schema: { params, body: withdrawRequest.nullish(), response } },
    async (request) => withdrawApproval(client, request.params.approvalId, request.body ?? {}),
  );
}
