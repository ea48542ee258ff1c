import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Webhook } from 'standardwebhooks';
import type { z } from 'zod';
import { decisionCallback, type DecisionCallback } from '../../schemas/callbacks.js';
import { verdict, type Decision } from '../../schemas/approval.js';
import { callbackResponse } from '../../schemas/callbacks.js';
import { shipmentStatus, type OrderStatus, type ShipmentReport } from '../../schemas/order.js';
import { shipmentCallback, type ShipmentCallback } from '../../schemas/callbacks.js';
import type { UnhandledReportReason } from '../../schemas/shipment-reports.js';
import { decideSignal } from '../../workflows/approval/contract.js';
import { orderStatusAttribute, orderWorkflowId, shipmentReportedSignal } from '../../workflows/order/contract.js';
import { findApproval } from '../approvals/read.js';
import type { AppDependencies, Backends } from '../dependencies.js';
import { notFound } from '../problems/http-problem.js';
import { withContract } from '../http/route-contract.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { signalIfOpen, signalMessage } from './signal-if-open.js';
import { keepRawJsonBodies, readSignedBody, webhookIdOf } from './signed-body.js';

type CallbackDependencies = Backends &
  Pick<AppDependencies, 'carrierWebhookSecrets' | 'approvalWebhookSecrets' | 'httpMetrics'>;

/**
 * Receives signed reports from external systems (Standard Webhooks). The API answers 202 once Temporal has stored the
 * message; no worker is needed. A repeated `webhook-id` has no effect. The API answers 200 when the workflow is closed
 * or the message has an unknown value, so that the sender stops its retries.
 */
export async function callbackRoutes(app: FastifyInstance, deps: CallbackDependencies): Promise<void> {
  const { client, store, httpMetrics } = deps;
  const carrierWebhooks = deps.carrierWebhookSecrets.map((secret) => new Webhook(secret));
  const approvalWebhooks = deps.approvalWebhookSecrets.map((secret) => new Webhook(secret));
  keepRawJsonBodies(app);

  const response = { 200: callbackResponse, 202: callbackResponse };

  app.post(
    '/shipments',
    {
      ...callbackContract('receiveShipmentCallback', 'Receive a shipment report of the carrier', shipmentCallback),
      schema: { response },
    },
    async (request, reply) => {
      const report = readSignedBody(carrierWebhooks, shipmentCallback, request);
      const workflowId = orderWorkflowId(report.orderId);
      const isKnownStatus = shipmentStatus.safeParse(report.status).success;
      const message = {
        signal: shipmentReportedSignal,
        argument: report as ShipmentReport,
        messageKey: messageKeyOf(request),
      };
      // Nearly every report is for an open order, so the API describes the workflow only for the other reports.
      if (isKnownStatus && (await signalMessage(client, workflowId, message))) {
        return reply.code(202).send({ status: 'accepted' });
      }
      const description = await describeWorkflow(client, { workflowId });
      const status = description
        ? (description.typedSearchAttributes.get(orderStatusAttribute) as OrderStatus)
        : await recordedOrderStatus(report.orderId);
      const reason = isKnownStatus ? unhandledReasonFor(report, status) : 'unknown_status';
      return await recordUnhandledReport(request, reply, report, reason);
    },
  );

  app.post(
    '/approvals',
    {
      ...callbackContract('receiveDecisionCallback', 'Receive a decision of an external system', decisionCallback),
      schema: { response },
    },
    async (request, reply) => {
      const callback = readSignedBody(approvalWebhooks, decisionCallback, request);
      const { approvalId, ...fields } = callback;
      const isKnownVerdict = verdict.safeParse(fields.decision).success;
      // Sends an unknown verdict to an open approval too, so that the trail records the ignored decision.
      const decision = { ...fields, via: 'webhook' } as Decision;
      const result = await signalIfOpen(await findApproval(deps, approvalId), {
        signal: decideSignal,
        argument: decision,
        messageKey: messageKeyOf(request),
      });
      if (result === 'signalled' && isKnownVerdict) return reply.code(202).send({ status: 'accepted' });
      if (!result && !(await store.findApproval(approvalId))) throw notFound(`there is no approval ${approvalId}`);
      return ignoreDecision(request, reply, callback, isKnownVerdict ? 'approval_closed' : 'unknown_verdict');
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
      request.log.warn({ ...report, reason }, 'recorded a shipment report that no order acts on');
    }
    return reply.code(200).send({ status: 'ignored', detail: IGNORED_REPORTS[reason] });
  }
}

/**
 * Why a closed order did not act on a report. The status of a terminated order is its last status before the
 * termination.
 */
function unhandledReasonFor(
  { status }: ShipmentCallback,
  orderStatus: OrderStatus | undefined,
): Exclude<UnhandledReportReason, 'unknown_status'> {
  const contradictions = orderStatus === 'completed' ? ['lost', 'cancelled'] : ['in_transit', 'delivered'];
  return contradictions.includes(status) ? 'contradicts_outcome' : 'order_closed';
}

const messageKeyOf = (request: FastifyRequest): string => `webhook:${webhookIdOf(request)}`;

const IGNORED_REPORTS: Record<UnhandledReportReason, string> = {
  unknown_status: 'the status is unknown; the report was recorded',
  contradicts_outcome: 'the order has already ended with another outcome; the report was recorded',
  order_closed: 'the order has already ended; the report was recorded',
};

const IGNORED_DECISIONS = {
  unknown_verdict: 'the decision must be "approve" or "reject"',
  approval_closed: 'the approval has already closed',
};

const callbackContract = (operationId: string, summary: string, body: z.ZodType) =>
  withContract({
    operationId,
    summary,
    description:
      'The API answers 202 once Temporal has stored the message; no worker is needed. A repeated `webhook-id` has no effect. The API answers 200 when the message has no effect: the order or approval has already ended, or the message has an unknown value.',
    tag: 'Callbacks',
    access: 'signed',
    dependencies: ['temporal', 'store'],
    problems: ['not-found'],
    rawBodies: { 'application/json': body },
  });
