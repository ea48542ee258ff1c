import { randomUUID } from 'node:crypto';
import type { OrderInput } from '../../../src/schemas/order.js';
import { ORDER_TASK_QUEUE, ORDER_WORKFLOW_TYPE, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { COMPLETE } from '../ledger.js';
import { callBack } from './callbacks.js';
import { few, isClosed, place, seen } from './order-steps.js';
import { moveParcel, scheduleParcel, untilDone } from './partners.js';
import { aRequest, type Tools, type Visit } from './visit.js';

/** The delivery timeout of an order whose parcel is late. */
const LATE_AFTER_SECONDS = 2;

/** A delivery time that is longer than any run. */
const NEVER_SECONDS = 1_000_000;

/**
 * Buys something, while the carrier reports that another parcel was delivered: before the shipment and after it. The
 * order's own parcel moves only after both reports were ignored.
 */
export async function buyWithAForeignReport(visit: Visit, { isAbout }: Tools): Promise<string | undefined> {
  const orderId = randomUUID();
  await scheduleParcel(visit, orderId, { autoDeliver: false });
  if ((await place(visit, { orderId })) === undefined) return undefined;
  isAbout(orderId);
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
  const shipped = await seen(visit, orderId, (order) => order.shipment !== undefined || isClosed(order));
  await report('foreign again');
  const ignored = await seen(visit, orderId, (order) => (order.ignoredReports ?? 0) >= 2 || isClosed(order));
  if (!shipped || !ignored) return undefined;
  // Leaves the parcel where it is, so that the auditor can see that no report on it closed the order.
  if (isClosed(ignored)) return `the order was ${ignored.status} before its parcel moved`;
  await moveParcel(visit, orderId, 'in_transit');
  await moveParcel(visit, orderId, 'delivered');
  return (await seen(visit, orderId, isClosed)) && COMPLETE;
}

/** Buys something whose parcel is picked up in time and delivered after the delivery timeout. */
export async function buyFromALateCarrier(visit: Visit, { client, isAbout }: Tools): Promise<string | undefined> {
  const { ledger, id: customerId } = visit;
  const input: OrderInput = {
    orderId: randomUUID(),
    customerId,
    lines: few(visit),
    payment: { token: 'tok_ok' },
    deliveryTimeoutSeconds: LATE_AFTER_SECONDS,
  };
  const { orderId, lines } = input;
  await scheduleParcel(visit, orderId, { autoDeliver: true, pickupSeconds: 0, deliverySeconds: NEVER_SECONDS });
  const started = await untilDone(visit, () =>
    client.workflow.start(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  if (!started) return undefined;
  isAbout(orderId);
  const asked = { ...aRequest(visit, 'late'), fate: 'accepted' as const, answers: [orderId] };
  ledger.orders.push({ ...asked, customerId, lines, token: 'tok_ok' });

  const late = await seen(visit, orderId, (order) => order.status === 'delivery_overdue' || isClosed(order));
  if (!late) return undefined;
  if (isClosed(late)) return `the order was ${late.status} while its parcel was on the road`;
  await moveParcel(visit, orderId, 'delivered');
  return (await seen(visit, orderId, isClosed)) && COMPLETE;
}
