import type { OrderLine } from '../../../../src/schemas/order.js';
import { approvalIdOfOrder } from '../../../../src/schemas/approval.js';
import { decideApproval } from './approvals.js';
import { sendDisorderedReports } from '../callbacks.js';
import { smallOrderLines, isClosed, placeOrder, pollOrder } from './order-steps.js';
import { LARGE_PRODUCT } from '../products.js';
import { createRequest, sendRequest, idempotencyHeader, type ClientSession } from '../client-session.js';

const DECLINED_TOKENS = ['tok_declined', 'tok_insufficient_funds'];

/**
 * The maximum delay between an order and its cancellation. With this maximum, the carrier has already picked up some
 * parcels.
 */
const MAX_CANCEL_DELAY_MS = 1_500;

type OrderScenario = (session: ClientSession) => Promise<void>;

/** The order scenarios. A scenario that occurs more often is more likely. */
const ORDER_SCENARIOS: OrderScenario[] = [
  ...Array<OrderScenario>(8).fill(buySmall),
  ...Array<OrderScenario>(2).fill(buyWithDeclinedCard),
  ...Array<OrderScenario>(3).fill(buySmallAndCancel),
  ...Array<OrderScenario>(4).fill(buyLarge),
  buyLargeAndCancel,
  buyLargeUntilTimeout,
  ...Array<OrderScenario>(2).fill(buyWithDisorderedReports),
];

/** Runs one of `ORDER_SCENARIOS`. */
export const runOrderScenario: OrderScenario = (session) => session.random.pick(ORDER_SCENARIOS)(session);

async function buySmall(session: ClientSession): Promise<void> {
  await placeOrder(session);
}

async function buyWithDeclinedCard(session: ClientSession): Promise<void> {
  await placeOrder(session, { token: session.random.pick(DECLINED_TOKENS) });
}

async function buySmallAndCancel(session: ClientSession): Promise<void> {
  const orderId = await placeOrder(session);
  await session.http.pause(session.random.integer(0, MAX_CANCEL_DELAY_MS));
  if (orderId !== undefined) await cancelOrder(session, orderId);
}

async function buyLarge(session: ClientSession): Promise<void> {
  const orderId = await placeOrder(session, { lines: largeOrderLines(session) });
  if (orderId === undefined) return;
  const approval = { approvalId: approvalIdOfOrder(orderId), source: { orderId }, decisions: [] };
  session.log.approvals.push(approval);
  const order = await pollOrder(session, orderId, (order) => order.approval !== undefined || isClosed(order));
  if (order && !isClosed(order)) await decideApproval(session, approval);
}

async function buyLargeAndCancel(session: ClientSession): Promise<void> {
  const orderId = await placeOrder(session, { lines: largeOrderLines(session) });
  await session.http.pause(session.random.integer(0, MAX_CANCEL_DELAY_MS));
  if (orderId !== undefined) await cancelOrder(session, orderId);
}

/** Places a large order and lets its approval time out. Each stage lasts one second. */
async function buyLargeUntilTimeout(session: ClientSession): Promise<void> {
  await placeOrder(session, { lines: largeOrderLines(session), approvalTimeoutSeconds: 1 });
}

/** Places an order whose shipment reports arrive repeatedly and out of order. */
export async function buyWithDisorderedReports(session: ClientSession): Promise<void> {
  const orderId = await placeOrder(session);
  if (orderId !== undefined) await sendDisorderedReports(session, orderId);
}

export async function cancelOrder(session: ClientSession, orderId: string): Promise<void> {
  const cancellation = createRequest(session, 'cancel');
  session.log.orders.find(({ customerId }) => customerId === session.id)!.cancellation = cancellation;
  const params = { path: { orderId }, header: idempotencyHeader(cancellation) };
  await sendRequest(
    session,
    cancellation,
    'cancel',
    ({ signal }) => session.http.api.POST('/v1/orders/{orderId}/cancel', { params, signal }),
    (order) => order.orderId,
  );
}

/** Returns the lines of an order that needs an approval. */
export const largeOrderLines = (session: ClientSession): OrderLine[] => [
  { sku: LARGE_PRODUCT.sku, quantity: 1 },
  ...smallOrderLines(session),
];
