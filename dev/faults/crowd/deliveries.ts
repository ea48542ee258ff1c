import type { Client } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import type { OrderInput } from '../../../src/schemas/order.js';
import { ORDER_TASK_QUEUE, ORDER_WORKFLOW_TYPE, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { callBack } from './callbacks.js';
import { partner, untilDone } from './partners.js';
import { few, isClosed, place, seen } from './order-steps.js';
import { aRequest, type Visit } from './visit.js';

/** The carrier's time for an order whose parcel is late, and how late it is. */
const LATE_AFTER_SECONDS = 2;
const LATE_BY_MS = 4_000;

/** Buys something, while the carrier reports that another parcel was delivered: before the shipment and after it. */
export async function buyWithAForeignReport(visit: Visit): Promise<void> {
  const orderId = await place(visit);
  if (orderId === undefined) return;
  visit.ledger.foreignReports.push(orderId);
  const report = async (name: string) => {
    visit.ledger.callbacks.sent += 1;
    await callBack(visit, aRequest(visit, name), 'shipments', {
      orderId,
      shipmentId: `shipment-of-${visit.id}`,
      status: 'delivered',
    });
  };
  await report('foreign');
  await seen(visit, orderId, (order) => order.shipment !== undefined || isClosed(order));
  await report('foreign again');
}

/** Buys something whose parcel leaves in time and is delivered when the carrier's time is long over. */
export async function buyFromALateCarrier(visit: Visit, client: Client): Promise<void> {
  const { outside, caller, ledger, id: customerId } = visit;
  const input: OrderInput = {
    orderId: randomUUID(),
    customerId,
    lines: few(visit),
    payment: { token: 'tok_ok' },
    deliveryTimeoutSeconds: LATE_AFTER_SECONDS,
  };
  const { orderId, lines } = input;
  const carrierSays = (status: string) => partner(outside, 'POST', `/test/shipments/${orderId}`, { status });
  await partner(outside, 'PUT', '/test/carrier', { orderId, autoDeliver: false });
  await untilDone(visit, () =>
    client.workflow.start(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  ledger.orders.push({
    ...aRequest(visit, 'late'),
    fate: 'accepted',
    answers: [orderId],
    customerId,
    lines,
    token: 'tok_ok',
  });
  const order = await seen(visit, orderId, (order) => order.shipment !== undefined || isClosed(order));
  if (!order || isClosed(order)) return;
  await carrierSays('in_transit');
  await caller.rest(LATE_BY_MS);
  await carrierSays('delivered');
}
