import type { FastifyInstance } from 'fastify';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { problemsOf } from '../../schemas/problems-of.js';
import { shipmentReport } from '../../schemas/order.js';
import { orderWorkflowId, shipmentReportedSignal } from '../../workflows/order/contract.js';
import type { AppDependencies } from '../app.js';
import { invalidRequest, unauthorized } from '../errors.js';
import { describeOr404, SERVER_DEADLINE_MS, withDeadline } from '../executions.js';

/**
 * What outside systems report, signed as Standard Webhooks. A report is accepted (202) once Temporal has stored it; no
 * worker is needed for that. On an order that is already closed it changes nothing, and 200 ends the sender's retries.
 */
export async function callbackRoutes(
  app: FastifyInstance,
  { client, carrierWebhookSecret }: AppDependencies,
): Promise<void> {
  const carrier = new Webhook(carrierWebhookSecret);
  // The signature covers the bytes as they were sent, so the body stays raw until it is verified.
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  app.post('/shipments', async (request, reply) => {
    const body = verified(carrier, request.body as Buffer, request.headers);
    const parsed = shipmentReport.safeParse(body);
    if (!parsed.success) throw invalidRequest(problemsOf(parsed.error.issues));
    const report = parsed.data;
    const workflowId = orderWorkflowId(report.orderId);
    const { status } = await describeOr404(client, workflowId, `order ${report.orderId}`);
    if (status.name !== 'RUNNING') {
      return reply.code(200).send({ status: 'ignored', detail: `order ${report.orderId} is already closed` });
    }
    await withDeadline(client, SERVER_DEADLINE_MS, () =>
      client.workflow.getHandle(workflowId).signal(shipmentReportedSignal, report),
    );
    return reply.code(202).send({ status: 'accepted' });
  });
}

/** The body of a webhook whose signature holds. @throws 401. */
function verified(webhook: Webhook, body: Buffer | undefined, headers: Record<string, unknown>): unknown {
  try {
    return webhook.verify(body ?? '', headers as Record<string, string>);
  } catch (error) {
    if (error instanceof WebhookVerificationError) throw unauthorized(error.message);
    // The signature held, so it is the signed text that is no JSON.
    throw invalidRequest([{ pointer: '', detail: 'the body is not JSON' }]);
  }
}
