import { createHash } from 'node:crypto';
import type { SignalDefinition } from '@temporalio/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import type { z } from 'zod';
import { decisionCallback } from '../../schemas/approval.js';
import { callbackAnswer } from '../../schemas/callback.js';
import { shipmentReport } from '../../schemas/order.js';
import { problemsOf } from '../../schemas/problems-of.js';
import { approvalWorkflowId, decideSignal } from '../../workflows/approval/contract.js';
import { orderWorkflowId, shipmentReportedSignal } from '../../workflows/order/contract.js';
import type { AppDependencies } from '../app.js';
import { contract } from '../contract.js';
import { invalidRequest, unauthorized } from '../errors.js';
import { describeOr404, signalOnce } from '../executions.js';

/**
 * What outside systems report, signed as Standard Webhooks. A report is accepted (202) once Temporal has stored it; no
 * worker is needed for that, and the same message again changes nothing. On a workflow that is already closed it changes
 * nothing either, and 200 ends the sender's retries.
 */
export async function callbackRoutes(app: FastifyInstance, deps: AppDependencies): Promise<void> {
  const { client } = deps;
  const carrier = deps.carrierWebhookSecrets.map((secret) => new Webhook(secret));
  const approvers = deps.approvalWebhookSecrets.map((secret) => new Webhook(secret));
  // The signature covers the bytes as they were sent, so the body stays raw until it is verified.
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const response = { 200: callbackAnswer, 202: callbackAnswer };

  app.post(
    '/shipments',
    { ...callback('reportShipment', 'The carrier reports', shipmentReport), schema: { response } },
    async (request, reply) => {
      const report = parsed(shipmentReport, verified(carrier, request));
      const { orderId } = report;
      const target = { workflowId: orderWorkflowId(orderId), what: `order ${orderId}` };
      return await pass(request, reply, target, shipmentReportedSignal, report);
    },
  );

  app.post(
    '/approvals',
    { ...callback('reportDecision', 'A system decides', decisionCallback), schema: { response } },
    async (request, reply) => {
      const callback = parsed(decisionCallback, verified(approvers, request));
      const { approvalId, ...decision } = callback;
      const target = { workflowId: approvalWorkflowId(approvalId), what: `approval ${approvalId}` };
      return await pass(request, reply, target, decideSignal, { ...decision, via: 'webhook' });
    },
  );

  async function pass<Argument>(
    { headers }: FastifyRequest,
    reply: FastifyReply,
    { workflowId, what }: { workflowId: string; what: string },
    signal: SignalDefinition<[Argument]>,
    argument: Argument,
  ): Promise<FastifyReply> {
    const { status } = await describeOr404(client, workflowId, what);
    const requestId = createHash('sha256')
      .update(`webhook:${String(headers['webhook-id'])}`)
      .digest('base64url');
    const stored = status.name === 'RUNNING' && (await signalOnce(client, workflowId, signal, [argument], requestId));
    if (stored) return reply.code(202).send({ status: 'accepted' });
    return reply.code(200).send({ status: 'ignored', detail: `${what} is already closed` });
  }
}

const callback = (operationId: string, summary: string, body: z.ZodType) =>
  contract({
    ...{ operationId, summary, tag: 'Callbacks', access: 'signed', needs: ['temporal'], problems: ['not-found'] },
    description:
      '202 once Temporal has stored it; no worker is needed, and the same `webhook-id` again changes nothing. 200 when what it is about is closed already.',
    bodies: { 'application/json': body },
  });

/** The body of a webhook that one of the secrets signed. @throws 401. */
function verified(webhooks: readonly Webhook[], { body, headers }: FastifyRequest): unknown {
  let refusal = 'there is no secret';
  for (const webhook of webhooks) {
    try {
      return webhook.verify((body as Buffer | undefined) ?? '', headers as Record<string, string>);
    } catch (error) {
      // The signature held, so it is the signed text that is no JSON.
      if (!(error instanceof WebhookVerificationError)) {
        throw invalidRequest([{ pointer: '', detail: 'the body is not JSON' }]);
      }
      refusal = error.message;
    }
  }
  throw unauthorized(refusal);
}

/** @throws 400 that names each wrong field. */
function parsed<T extends z.ZodType>(schema: T, body: unknown): z.infer<T> {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw invalidRequest(problemsOf(result.error.issues));
}
