import type { OrderLine } from '../../../src/schemas/order.js';
import { approvalIdOfOrder } from '../../../src/schemas/approval.js';
import { decide } from './approvals.js';
import { reportLikeABadCarrier } from './callbacks.js';
import { few, isClosed, place, seen } from './order-steps.js';
import { LARGE } from './products.js';
import { aRequest, ask, named, type Visit } from './visit.js';

const BAD_CARDS = ['tok_declined', 'tok_insufficient_funds'];

/** The longest time after placing an order until the customer cancels it; some parcels are picked up by then. */
const LATEST_CHANGE_OF_MIND_MS = 1_500;

type Story = (visit: Visit) => Promise<void>;

/** What a customer may do with an order, weighted by repetition. */
const STORIES: Story[] = [
  ...Array<Story>(8).fill(buy),
  ...Array<Story>(2).fill(buyWithABadCard),
  ...Array<Story>(3).fill(buyAndCancel),
  ...Array<Story>(4).fill(buyMuch),
  buyMuchAndCancel,
  buyMuchThatNobodyApproves,
  ...Array<Story>(2).fill(buyFromABadCarrier),
];

/** Buys something by the API, in one of the ways of `STORIES`. */
export const orderStory: Story = (visit) => visit.random.of(STORIES)(visit);

async function buy(visit: Visit): Promise<void> {
  await place(visit);
}

async function buyWithABadCard(visit: Visit): Promise<void> {
  await place(visit, { token: visit.random.of(BAD_CARDS) });
}

async function buyAndCancel(visit: Visit): Promise<void> {
  const orderId = await place(visit);
  await visit.caller.rest(visit.random.from(0, LATEST_CHANGE_OF_MIND_MS));
  if (orderId !== undefined) await cancel(visit, orderId);
}

async function buyMuch(visit: Visit): Promise<void> {
  const orderId = await place(visit, { lines: many(visit) });
  if (orderId === undefined) return;
  const asked = { approvalId: approvalIdOfOrder(orderId), of: { orderId }, decisions: [] };
  visit.ledger.approvals.push(asked);
  const order = await seen(visit, orderId, (order) => order.approval !== undefined || isClosed(order));
  if (order && !isClosed(order)) await decide(visit, asked);
}

async function buyMuchAndCancel(visit: Visit): Promise<void> {
  const orderId = await place(visit, { lines: many(visit) });
  await visit.caller.rest(visit.random.from(0, LATEST_CHANGE_OF_MIND_MS));
  if (orderId !== undefined) await cancel(visit, orderId);
}

/** One second for each stage. */
async function buyMuchThatNobodyApproves(visit: Visit): Promise<void> {
  await place(visit, { lines: many(visit), approvalTimeoutSeconds: 1 });
}

/** The carrier sends every report twice, and some too early or too late. */
export async function buyFromABadCarrier(visit: Visit): Promise<void> {
  const orderId = await place(visit);
  if (orderId !== undefined) await reportLikeABadCarrier(visit, orderId);
}

export async function cancel(visit: Visit, orderId: string): Promise<void> {
  const cancellation = aRequest(visit, 'cancel');
  visit.ledger.orders.find(({ customerId }) => customerId === visit.id)!.cancellation = cancellation;
  const params = { path: { orderId }, header: named(cancellation) };
  await ask(
    visit,
    cancellation,
    'cancel',
    ({ signal }) => visit.caller.api.POST('/v1/orders/{orderId}/cancel', { params, signal }),
    (order) => order.orderId,
  );
}

/** An order that needs an approval. */
export const many = (visit: Visit): OrderLine[] => [{ sku: LARGE.sku, quantity: 1 }, ...few(visit)];
