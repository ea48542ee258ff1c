import type { OrderLine } from '../../../../src/schemas/order.js';
import type { Schemas } from '../../../api-client/client.js';
import { SMALL_PRODUCTS } from '../products.js';
import { createRequest, sendRequest, idempotencyHeader, type ClientSession } from '../client-session.js';

type OrderOverrides = Partial<Pick<Schemas['OrderRequest'], 'orderId' | 'lines' | 'approvalTimeoutSeconds'>> & {
  token?: string;
};

/**
 * Places an order, by default a small one. @returns the order id, or undefined when the API rejected the order or its
 * outcome is unknown.
 */
export async function placeOrder(session: ClientSession, overrides: OrderOverrides = {}): Promise<string | undefined> {
  const { lines = smallOrderLines(session), token = 'tok_ok', ...more } = overrides;
  const customerId = session.id;
  const order = { ...createRequest(session, 'place'), customerId, lines, token };
  session.log.orders.push(order);
  const body = { customerId, lines, payment: { token }, ...more };
  const placed = await sendRequest(
    session,
    order,
    'place',
    ({ signal }) => session.http.api.POST('/v1/orders', { params: { header: idempotencyHeader(order) }, body, signal }),
    ({ orderId }) => orderId,
  );
  return placed?.orderId;
}

/** Polls the order until `wanted` accepts it. */
export async function pollOrder(
  { http }: ClientSession,
  orderId: string,
  wanted: (order: Schemas['Order']) => boolean,
  until?: AbortSignal,
): Promise<Schemas['Order'] | undefined> {
  const params = { path: { orderId } };
  return await http.pollUntil(({ signal }) => http.api.GET('/v1/orders/{orderId}', { params, signal }), wanted, until);
}

export const isClosed = ({ stage }: Schemas['Order']): boolean => stage === 'done';

/** Returns lines with one or two products and at most three units of each. */
export function smallOrderLines({ random }: ClientSession): OrderLine[] {
  const first = random.integer(0, SMALL_PRODUCTS.length - 1);
  return SMALL_PRODUCTS.slice(first, first + random.integer(1, 2)).map(({ sku }) => ({
    sku,
    quantity: random.integer(1, 3),
  }));
}
