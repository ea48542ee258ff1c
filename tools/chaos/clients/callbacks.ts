import { Webhook } from 'standardwebhooks';
import type { DecisionCallback } from '../../../src/schemas/approval.js';
import type { ShipmentReport } from '../../../src/schemas/order.js';
import type { Asked } from '../ledger.js';
import { isClosed, seen } from './order-steps.js';
import { aRequest, type Visit } from './visit.js';

/**
 * Sends a signed callback until it is accepted or rejected. Its key is the message id: a repetition of the message
 * changes nothing.
 */
export async function callBack(
  { caller, outside }: Visit,
  asked: Asked,
  about: 'shipments' | 'approvals',
  body: ShipmentReport | DecisionCallback,
): Promise<void> {
  const secret = about === 'shipments' ? outside.carrierSecret : outside.approvalSecret;
  const text = JSON.stringify(body);
  await caller.ask(
    asked,
    `callback about ${about}`,
    async ({ signal }) => {
      const at = new Date();
      const response = await fetch(`${outside.apiUrl}/v1/callbacks/${about}`, {
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
export async function reportLikeABadCarrier(visit: Visit, orderId: string): Promise<void> {
  const { callbacks } = visit.ledger;
  const order = await seen(visit, orderId, (order) => order.shipment !== undefined || isClosed(order));
  if (!order?.shipment) return;
  const { shipmentId } = order.shipment;
  const report = async (name: string, status: ShipmentReport['status']) => {
    callbacks.sent += 1;
    await callBack(visit, aRequest(visit, name), 'shipments', { orderId, shipmentId, status });
  };
  await report('delivered', 'delivered');
  await report('delivered', 'delivered');
  await report('in_transit', 'in_transit');
  callbacks.repeated += 1;
  callbacks.outOfOrder += 2;

  await seen(visit, orderId, isClosed);
  await report('late', 'in_transit');
  await report('delivered once more', 'delivered');
  callbacks.repeated += 1;
  callbacks.outOfOrder += 1;
}
