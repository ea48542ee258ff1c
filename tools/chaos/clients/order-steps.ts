import type { OrderLine } from '../../../src/schemas/order.js';
import type { Schemas } from '../../api-client/client.js';
import { SMALL } from './products.js';
import { aRequest, ask, named, type Visit } from './visit.js';

type Wishes = Partial<Pick<Schemas['OrderRequest'], 'orderId' | 'lines' | 'approvalTimeoutSeconds'>> & {
  token?: string;
};

/** Places an order. Default: a small one. @returns its id, once it is known. */
export async function place(visit: Visit, wishes: Wishes = {}): Promise<string | undefined> {
  const { lines = few(visit), token = 'tok_ok', ...more } = wishes;
  const customerId = visit.id;
  const order = { ...aRequest(visit, 'place'), customerId, lines, token };
  visit.ledger.orders.push(order);
  const body = { customerId, lines, payment: { token }, ...more };
  const said = await ask(
    visit,
    order,
    'place',
    ({ signal }) => visit.caller.api.POST('/v1/orders', { params: { header: named(order) }, body, signal }),
    ({ orderId }) => orderId,
  );
  return said?.orderId;
}

/** Polls the order until it is in the wanted state. */
export async function seen(
  { caller }: Visit,
  orderId: string,
  wanted: (order: Schemas['Order']) => boolean,
  until?: AbortSignal,
): Promise<Schemas['Order'] | undefined> {
  const params = { path: { orderId } };
  return await caller.see(({ signal }) => caller.api.GET('/v1/orders/{orderId}', { params, signal }), wanted, until);
}

export const isClosed = ({ stage }: Schemas['Order']): boolean => stage === 'done';

/** One or two products, up to three pieces of each. */
export function few({ random }: Visit): OrderLine[] {
  const first = random.from(0, SMALL.length - 1);
  return SMALL.slice(first, first + random.from(1, 2)).map(({ sku }) => ({ sku, quantity: random.from(1, 3) }));
}
