import { Webhook } from 'standardwebhooks';
import type { DecisionCallback } from '../../../src/schemas/callbacks.js';
import type { ShipmentReport } from '../../../src/schemas/order.js';
import type { LoggedRequest } from '../client-log.js';
import { isClosed, pollOrder } from './scenarios/order-steps.js';
import { createRequest, type ClientSession } from './client-session.js';

/**
 * Sends a signed callback until it is accepted or rejected. Its key is the message id: a repetition of the message
 * changes nothing.
 */
export async function sendCallback(
  { http, endpoints }: ClientSession,
  asked: LoggedRequest,
  about: 'shipments' | 'approvals',
  body: ShipmentReport | DecisionCallback,
): Promise<void> {
  const secret = about === 'shipments' ? endpoints.carrierWebhookSecret : endpoints.approvalWebhookSecret;
  const text = JSON.stringify(body);
  await http.send(
    asked,
    `callback about ${about}`,
    async ({ signal }) => {
      const at = new Date();
      const response = await fetch(`${endpoints.apiUrl}/v1/callbacks/${about}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': asked.key,
          'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
          'webhook-signature': new Webhook(secret).sign(asked.key, at, text),
        },
        body: text,
        signal,
      });
      const said: unknown = await response.json();
      return response.ok ? { data: said, response } : { error: said, response };
    },
    () => 'taken',
  );
}

/**
 * Sends reports on a parcel directly to the API: delivered before it was picked up, the same report twice, and all of
 * them again long after the order is completed.
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
