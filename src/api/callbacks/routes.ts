import { createHash } from 'node:crypto';
import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import type { z } from 'zod';
import { decisionCallback, verdict, type Decision, type DecisionCallback } from '../../schemas/approval.js';
import { callbackResponse } from '../../schemas/callbacks.js';
import type { OrderStatus, ShipmentReport } from '../../schemas/order.js';
import { toInputProblems } from '../../schemas/shared/input-problems.js';
import { shipmentCallback, type ShipmentCallback, type UnhandledReportReason } from '../../schemas/shipment-reports.js';
import { approvalWorkflowId, decideSignal } from '../../workflows/approval/contract.js';
import { orderStatusAttribute, orderWorkflowId, shipmentReportedSignal } from '../../workflows/order/contract.js';
import type { AppDependencies } from '../app.js';
import { withContract, type RouteContract } from '../http/route-contract.js';
import { HttpProblem, invalidRequest, notFound, unauthorized } from '../problems/http-problem.js';
import { describeWorkflow, signalOnce } from '../executions/worker-calls.js';
import type { ParsedJson } from '../http/lossless-json.js';
import { parseJsonBytes } from '../http/json-body.js';
import { isKnownStatus, unhandledReasonFor } from '../shipment-reports/service.js';

/** Standard Webhooks sets no limit. The id is a key in the database. */
const MAX_WEBHOOK_ID_LENGTH = 255;

/**
 * Receives signed reports from external systems (Standard Webhooks). The API answers 202 once Temporal has stored the
 * message; no worker is needed. A repeated `webhook-id` has no effect. When the workflow is closed, or when the message
 * has a value that the shop does not know, the API answers 200, which ends the sender's retries.
 */
export async function callbackRoutes(app: FastifyInstance, deps: AppDependencies): Promise<void> {
  const { client, store, httpMetrics } = deps;
  const carrier = deps.carrierWebhookSecrets.map((secret) => new Webhook(secret));
  const approvers = deps.approvalWebhookSecrets.map((secret) => new Webhook(secret));
  // The signature covers the bytes as they were sent, so the body stays raw until it is verified.
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const response = { 200: callbackResponse, 202: callbackResponse };

  app.post(
    '/shipments',
    {
      ...callbackContract('receiveShipmentCallback', 'The carrier reports', shipmentCallback, ['temporal', 'store']),
      schema: { response },
    },
    async (request, reply) => {
      const report = parseCallback(shipmentCallback, verifyBody(carrier, request));
      const workflowId = orderWorkflowId(report.orderId);
      const { status } = report;
      const isKnown = isKnownStatus(status);
      const closed = isKnown
        ? await signalIfOpen(request, workflowId, shipmentReportedSignal, report as ShipmentReport)
        : await describeWorkflow(client, workflowId);
      if (closed === 'signalled') return reply.code(202).send({ status: 'accepted' });
      const outcome = closed
        ? (closed.typedSearchAttributes.get(orderStatusAttribute) as OrderStatus)
        : await recordedOrderStatus(report.orderId);
      return await recordUnhandledReport(
        request,
        reply,
        report,
        isKnown ? unhandledReasonFor(report, outcome) : 'unknown_status',
      );
    },
  );

  app.post(
    '/approvals',
    {
      ...callbackContract('receiveDecisionCallback', 'A system decides', decisionCallback, ['temporal', 'store']),
      schema: { response },
    },
    async (request, reply) => {
      const callback = parseCallback(decisionCallback, verifyBody(approvers, request));
      const { approvalId, ...fields } = callback;
      const workflowId = approvalWorkflowId(approvalId);
      const isKnown = verdict.safeParse(fields.decision).success;
      // An open approval also gets an unknown verdict, so that its trail records the ignored decision.
      const decision = { ...fields, via: 'webhook' } as Decision;
      const closed = await signalIfOpen(request, workflowId, decideSignal, decision);
      if (closed === 'signalled' && isKnown) return reply.code(202).send({ status: 'accepted' });
      if (!closed && !(await store.findApproval(approvalId))) throw notFound(`there is no approval ${approvalId}`);
      return ignoreDecision(request, reply, callback, isKnown ? 'approval_closed' : 'unknown_verdict');
    },
  );

  function ignoreDecision(
    request: FastifyRequest,
    reply: FastifyReply,
    { approvalId, approver, decision }: DecisionCallback,
    reason: keyof typeof IGNORED_DECISIONS,
  ): FastifyReply {
    httpMetrics?.countIgnoredCallback('approvals', reason);
    request.log.warn({ approvalId, approver, decision, reason }, 'ignored a decision of an external system');
    return reply.code(200).send({ status: 'ignored', detail: IGNORED_DECISIONS[reason] });
  }

  /**
   * Signals a workflow once for each `webhook-id`.
   *
   * @returns the description of the workflow when it is closed, undefined when Temporal does not have it.
   */
  async function signalIfOpen<Argument>(
    request: FastifyRequest,
    workflowId: string,
    signal: SignalDefinition<[Argument]>,
    argument: Argument,
  ): Promise<'signalled' | WorkflowExecutionDescription | undefined> {
    const description = await describeWorkflow(client, workflowId);
    if (description?.status.name !== 'RUNNING') return description;
    const operationId = createHash('sha256')
      .update(`webhook:${webhookIdOf(request)}`)
      .digest('base64url');
    const isStored = await signalOnce(client, workflowId, signal, [argument], operationId);
    // The workflow closed in the meantime, so its status has changed.
    return isStored ? 'signalled' : await describeWorkflow(client, workflowId);
  }

  /** The status of an order whose workflow Temporal no longer has. @throws 404. */
  async function recordedOrderStatus(orderId: string): Promise<OrderStatus> {
    const record = await store.findOrder(orderId);
    if (!record) throw notFound(`there is no order ${orderId}`);
    return record.status;
  }

  async function recordUnhandledReport(
    request: FastifyRequest,
    reply: FastifyReply,
    report: ShipmentCallback,
    reason: UnhandledReportReason,
  ): Promise<FastifyReply> {
    const isNew = await store.recordUnhandledReport({ ...report, webhookId: webhookIdOf(request), reason });
    if (isNew) {
      httpMetrics?.countIgnoredCallback('shipments', reason);
      request.log.warn({ ...report, reason }, 'no order acts on this shipment report');
    }
    return reply.code(200).send({ status: 'ignored', detail: IGNORED_REPORTS[reason] });
  }
}

const IGNORED_REPORTS: Record<UnhandledReportReason, string> = {
  unknown_status: 'the status is unknown; the report was recorded',
  contradicts_outcome: 'the order has already ended with another outcome; the report was recorded',
  order_closed: 'the order has already ended; the report was recorded',
};

const IGNORED_DECISIONS = {
  unknown_verdict: 'the decision must be "approve" or "reject"',
  approval_closed: 'the approval has already closed',
};

const callbackContract = (
  operationId: string,
  summary: string,
  body: z.ZodType,
  needs: RouteContract['dependencies'] = [],
) =>
  withContract({
    operationId,
    summary,
    description:
      'The API answers 202 once Temporal has stored the message; no worker is needed. A repeated `webhook-id` has no effect. The API answers 200 when the message has no effect, because its subject has already ended or because it has an unknown value.',
    tag: 'Callbacks',
    access: 'signed',
    dependencies: needs,
    problems: ['not-found'],
    rawBodies: { 'application/json': body },
  });

/** The id of the message, which a valid signature covers. @throws 400 when the database could not index it. */
function webhookIdOf({ headers }: FastifyRequest): string {
  const id = String(headers['webhook-id']);
  if (id.length > MAX_WEBHOOK_ID_LENGTH)
    throw invalidRequest([{ pointer: '/webhook-id', detail: `must have at most ${MAX_WEBHOOK_ID_LENGTH} characters` }]);
  return id;
}

/** The body of a webhook that one of the secrets signed. @throws 401. */
function verifyBody(webhooks: readonly Webhook[], { body, headers }: FastifyRequest): ParsedJson {
  const bytes = (body as Buffer | undefined) ?? Buffer.alloc(0);
  let refusal = 'there is no secret';
  for (const webhook of webhooks) {
    try {
      webhook.verify(bytes, headers as Record<string, string>);
      return parseJsonBytes(bytes);
    } catch (error) {
      if (error instanceof HttpProblem) throw error;
      // The signature is valid, so the signed text itself is not JSON.
      if (!(error instanceof WebhookVerificationError)) {
        throw invalidRequest([{ pointer: '', detail: 'the body is not JSON' }]);
      }
      refusal = error.message;
    }
  }
  throw unauthorized(refusal);
}

/**
 * Parses a callback. Repeated names and inexact numbers are accepted in fields that the schema does not have.
 * @throws 400 that names each invalid field.
 */
function parseCallback<T extends z.ZodObject>(schema: T, { value, losses }: ParsedJson): z.infer<T> {
  const known = losses.filter(({ pointer }) => Object.hasOwn(schema.shape, pointer.split('/')[1] ?? ''));
  if (known.length > 0) throw invalidRequest(known);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalidRequest(toInputProblems(result.error.issues));
}
