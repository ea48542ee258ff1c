import { randomUUID } from 'node:crypto';
import type { OrderInput } from '../../../../src/schemas/order.js';
import { ORDER_TASK_QUEUE, ORDER_WORKFLOW_TYPE, orderWorkflowId } from '../../../../src/workflows/order/contract.js';
import { COMPLETE } from '../../client-log.js';
import { sendCallback } from '../callbacks.js';
import { smallOrderLines, isClosed, placeOrder, pollOrder } from '../scenarios/order-steps.js';
import { moveParcel, scheduleParcel, retryUntilDone } from '../fakes-control.js';
import { createRequest, type DirectAccess, type ClientSession } from '../client-session.js';

/** The delivery timeout of the order with the late parcel. */
const DELIVERY_TIMEOUT_SECONDS = 2;

/** Longer than any run, so the carrier never delivers on its own. */
const NEVER_SECONDS = 1_000_000;

/**
 * Places an order and sends two delivery reports about another parcel: one before the shipment and one after it. The
 * order's own parcel moves only after the order has ignored both reports.
 */
export async function buyWithForeignReport(
  session: ClientSession,
  { setOrderId }: DirectAccess,
): Promise<string | undefined> {
  const orderId = randomUUID();
  await scheduleParcel(session, orderId, { autoDeliver: false });
  if ((await placeOrder(session, { orderId })) === undefined) return undefined;
  setOrderId(orderId);
  session.log.foreignReportOrderIds.push(orderId);
  const report = async (name: string) => {
    session.log.callbacks.sent += 1;
    await sendCallback(session, createRequest(session, name), 'shipments', {
      orderId,
      shipmentId: `shipment-of-${session.id}`,
      status: 'delivered',
    });
  };
  await report('foreign');
  const shipped = await pollOrder(session, orderId, (order) => order.shipment !== undefined || isClosed(order));
  await report('foreign again');
  const ignored = await pollOrder(session, orderId, (order) => (order.ignoredReportCount ?? 0) >= 2 || isClosed(order));
  if (!shipped || !ignored) return undefined;
  // Does not move the parcel, so the auditor sees that the order closed without a report about its own parcel.
  if (isClosed(ignored)) return `the order was ${ignored.status} before its parcel moved`;
  await moveParcel(session, orderId, 'in_transit');
  await moveParcel(session, orderId, 'delivered');
  return (await pollOrder(session, orderId, isClosed)) && COMPLETE;
}

/** Places an order whose parcel is picked up in time, but delivered after the delivery timeout. */
export async function buyWithLateDelivery(
  session: ClientSession,
  { client, setOrderId }: DirectAccess,
): Promise<string | undefined> {
  const { log, id: customerId } = session;
  const input: OrderInput = {
    orderId: randomUUID(),
    customerId,
    lines: smallOrderLines(session),
    payment: { token: 'tok_ok' },
    deliveryTimeoutSeconds: DELIVERY_TIMEOUT_SECONDS,
  };
  const { orderId, lines } = input;
  await scheduleParcel(session, orderId, { autoDeliver: true, pickupSeconds: 0, deliverySeconds: NEVER_SECONDS });
  const started = await retryUntilDone(session, () =>
    client.workflow.start(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [input],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  if (!started) return undefined;
  setOrderId(orderId);
  const request = { ...createRequest(session, 'late'), outcome: 'accepted' as const, responses: [orderId] };
  log.orders.push({ ...request, customerId, lines, token: 'tok_ok' });

  const late = await pollOrder(session, orderId, (order) => order.status === 'delivery_overdue' || isClosed(order));
  if (!late) return undefined;
  if (isClosed(late)) return `the order was ${late.status} while its parcel was in transit`;
  await moveParcel(session, orderId, 'delivered');
  return (await pollOrder(session, orderId, isClosed)) && COMPLETE;
}
