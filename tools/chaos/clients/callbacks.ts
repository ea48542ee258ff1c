import { Webhook } from 'standardwebhooks';
import type { DecisionCallback } from '../../../src/schemas/callbacks.js';
import type { ShipmentReport } from '../../../src/schemas/order.js';
import type { LoggedRequest } from '../client-log.js';
import { isClosed, pollOrder } from './scenarios/order-steps.js';
import { createRequest, type ClientSession } from './client-session.js';

/**
 * Sends a signed callback until the API accepts or rejects it. The request's key is the message id, so a repeated
 * message changes nothing.
 */
export async function sendCallback(
  { http, endpoints }: ClientSession,
  request: LoggedRequest,
  subject: 'shipments' | 'approvals',
  body: ShipmentReport | DecisionCallback,
): Promise<void> {
  const secret = subject === 'shipments' ? endpoints.carrierWebhookSecret : endpoints.approvalWebhookSecret;
  const text = JSON.stringify(body);
  await http.send(
    request,
    `callback about ${subject}`,
    async ({ signal }) => {
      const at = new Date();
      const response = await fetch(`${endpoints.apiUrl}/v1/callbacks/${subject}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': request.key,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': new Webhook(secret).sign(request.key, at, text),
        },
        body: text,
        signal,
      });
      const responseBody: unknown = await response.json();
      return response.ok ? { data: responseBody, response } : { error: responseBody, response };
    },
    () => 'accepted',
  );
}

/**
 * Sends reports about a parcel directly to the API in the wrong order: `delivered` before `in_transit`, one report
 * twice, and two reports again after the order is completed.
 */
export async function sendDisorderedReports(session: ClientSession, orderId: string): Promise<void> {
  const { callbacks } = session.log;
  const order = await pollOrder(session, orderId, (order) => order.shipment !== undefined || isClosed(order));
  if (!order?.shipment) return;
  const { shipmentId } = order.shipment;
  const report = async (name: string, status: ShipmentReport['status']) => {
    callbacks.sent += 1;
    await sendCallback(session, createRequest(session, name), 'shipments', { orderId, shipmentId, status });
  };
  await report('delivered', 'delivered');
  await report('delivered', 'delivered');
  await report('in_transit', 'in_transit');
  callbacks.repeated += 1;
  callbacks.outOfOrder += 2;

  await pollOrder(session, orderId, isClosed);
  await report('late', 'in_transit');
  await report('delivered once more', 'delivered');
  callbacks.repeated += 1;
  callbacks.outOfOrder += 1;
}
