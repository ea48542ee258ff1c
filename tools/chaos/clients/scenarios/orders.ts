import type { OrderLine } from '../../../../src/schemas/order.js';
import { approvalIdOfOrder } from '../../../../src/schemas/approval.js';
import { decideApproval } from './approvals.js';
import { sendDisorderedReports } from '../callbacks.js';
import { smallOrderLines, isClosed, placeOrder, pollOrder } from './order-steps.js';
import { LARGE_PRODUCT } from '../products.js';
import { createRequest, sendRequest, idempotencyHeader, type ClientSession } from '../client-session.js';

const DECLINED_TOKENS = ['tok_declined', 'tok_insufficient_funds'];

/** The longest time after placing an order until the customer cancels it; some parcels are picked up by then. */
const MAX_CANCEL_DELAY_MS = 1_500;

type OrderScenario = (visit: ClientSession) => Promise<void>;

/** What a customer may do with an order, weighted by repetition. */
const ORDER_SCENARIOS: OrderScenario[] = [
  ...Array<OrderScenario>(8).fill(buySmall),
  ...Array<OrderScenario>(2).fill(buyWithDeclinedCard),
  ...Array<OrderScenario>(3).fill(buySmallAndCancel),
  ...Array<OrderScenario>(4).fill(buyLarge),
  buyLargeAndCancel,
  buyLargeUntilTimeout,
  ...Array<OrderScenario>(2).fill(buyWithDisorderedReports),
];

/** Buys something by the API, in one of the ways of `STORIES`. */
export const runOrderScenario: OrderScenario = (visit) => visit.random.pick(ORDER_SCENARIOS)(visit);

async function buySmall(visit: ClientSession): Promise<void> {
  await placeOrder(visit);
}

async function buyWithDeclinedCard(visit: ClientSession): Promise<void> {
  await placeOrder(visit, { token: visit.random.pick(DECLINED_TOKENS) });
}

async function buySmallAndCancel(visit: ClientSession): Promise<void> {
  const orderId = await placeOrder(visit);
  await visit.http.pause(visit.random.integer(0, MAX_CANCEL_DELAY_MS));
  if (orderId !== undefined) await cancelOrder(visit, orderId);
}

async function buyLarge(visit: ClientSession): Promise<void> {
  const orderId = await placeOrder(visit, { lines: largeOrderLines(visit) });
  if (orderId === undefined) return;
  const asked = { approvalId: approvalIdOfOrder(orderId), source: { orderId }, decisions: [] };
  visit.log.approvals.push(asked);
  const order = await pollOrder(visit, orderId, (order) => order.approval !== undefined || isClosed(order));
  if (order && !isClosed(order)) await decideApproval(visit, asked);
}

async function buyLargeAndCancel(visit: ClientSession): Promise<void> {
  const orderId = await placeOrder(visit, { lines: largeOrderLines(visit) });
  await visit.http.pause(visit.random.integer(0, MAX_CANCEL_DELAY_MS));
  if (orderId !== undefined) await cancelOrder(visit, orderId);
}

/** One second for each stage. */
async function buyLargeUntilTimeout(visit: ClientSession): Promise<void> {
  await placeOrder(visit, { lines: largeOrderLines(visit), approvalTimeoutSeconds: 1 });
}

/** The carrier sends every report twice, and some too early or too late. */
export async function buyWithDisorderedReports(visit: ClientSession): Promise<void> {
  const orderId = await placeOrder(visit);
  if (orderId !== undefined) await sendDisorderedReports(visit, orderId);
}

export async function cancelOrder(visit: ClientSession, orderId: string): Promise<void> {
  const cancellation = createRequest(visit, 'cancel');
  visit.log.orders.find(({ customerId }) => customerId === visit.id)!.cancellation = cancellation;
  const params = { path: { orderId }, header: idempotencyHeader(cancellation) };
  await sendRequest(
    visit,
    cancellation,
    'cancel',
    ({ signal }) => visit.http.api.POST('/v1/orders/{orderId}/cancel', { params, signal }),
    (order) => order.orderId,
  );
}

/** An order that needs an approval. */
export const largeOrderLines = (visit: ClientSession): OrderLine[] => [
  { sku: LARGE_PRODUCT.sku, quantity: 1 },
  ...smallOrderLines(visit),
];
