import type { Schemas } from '../../../api-client/client.js';
import type { LoggedCart, CartChange } from '../../client-log.js';
import { CART_PRODUCTS } from '../products.js';
import { createRequest, sendRequest, idempotencyHeader, type ClientSession } from '../client-session.js';

/** Each customer of a cart adds their own product. All customers also add the shared product. */
const OWN_SKUS = CART_PRODUCTS.slice(0, -1).map(({ sku }) => sku);
const SHARED_SKU = CART_PRODUCTS.at(-1)!.sku;

const MAX_CHANGES = 5;
const MAX_QUANTITY = 3;

/** How carts end. An end that occurs more often is more likely. */
const CART_ENDS: LoggedCart['end'][] = ['checked out', 'checked out', 'checked out', 'abandoned', 'open'];

/** Several customers fill a cart at the same time. Then the cart is checked out, abandoned or left open. */
export async function runCartScenario(session: ClientSession): Promise<void> {
  const { id, random, log } = session;
  const end = random.pick(CART_ENDS);
  const cart: LoggedCart = { cartId: id, changes: [], end, closingRequests: [], customerId: id, token: 'tok_ok' };
  log.carts.push(cart);
  await Promise.all(
    OWN_SKUS.map((own) => fillCart({ ...session, id: `${id}-${own}`, random: random.fork(own) }, cart, own)),
  );
  if (end === 'abandoned') await closeCart(session, cart, 'abandon');
  if (end === 'checked out') {
    const atOnce = random.chance(0.3) ? ['checkout', 'checkout too'] : ['checkout'];
    await Promise.all(atOnce.map((name) => closeCart(session, cart, name)));
  }
}

/**
 * Sends one customer's changes, each after the response to the previous one. Stops when the API does not accept a
 * change.
 */
async function fillCart(session: ClientSession, cart: LoggedCart, own: string): Promise<void> {
  const { random } = session;
  let pieces = 0;
  for (let number = random.integer(1, MAX_CHANGES); number > 0; number -= 1) {
    const isShared = random.chance(0.25);
    const kind = isShared || pieces === 0 ? 'add' : random.pick(['add', 'set', 'set', 'remove'] as const);
    const change: CartChange = {
      ...createRequest(session, String(number)),
      kind,
      sku: isShared ? SHARED_SKU : own,
      quantity: random.integer(1, MAX_QUANTITY),
    };
    cart.changes.push(change);
    await sendChange(session, cart, change);
    if (change.outcome !== 'accepted') return;
    if (isShared) continue;
    pieces = { add: pieces + change.quantity, set: change.quantity, remove: 0 }[kind];
  }
}

async function sendChange(session: ClientSession, { cartId }: LoggedCart, change: CartChange): Promise<void> {
  const { api } = session.http;
  const { kind, sku, quantity } = change;
  const header = idempotencyHeader(change);
  const path = { cartId, sku };
  const pieces = (cart: Schemas['Cart']) =>
    sku === SHARED_SKU ? 'changed' : String(cart.lines.find((line) => line.sku === sku)?.quantity ?? 0);
  await sendRequest(
    session,
    change,
    'change',
    ({ signal }) => {
      if (kind === 'add') {
        const params = { path: { cartId }, header };
        return api.POST('/v1/carts/{cartId}/items', { params, body: { sku, quantity }, signal });
      }
      const params = { path, header };
      return kind === 'set'
        ? api.PATCH('/v1/carts/{cartId}/items/{sku}', { params, body: { quantity }, signal })
        : api.DELETE('/v1/carts/{cartId}/items/{sku}', { params, signal });
    },
    pieces,
  );
}

async function closeCart(
  session: ClientSession,
  { cartId, closingRequests, customerId, token }: LoggedCart,
  name: string,
): Promise<void> {
  const { api } = session.http;
  const request = createRequest(session, name);
  closingRequests.push(request);
  const params = { path: { cartId }, header: idempotencyHeader(request) };
  const body = { payment: { token }, customerId };
  await sendRequest(
    session,
    request,
    name === 'abandon' ? name : 'check out',
    ({ signal }) =>
      name === 'abandon'
        ? api.DELETE('/v1/carts/{cartId}', { params, signal })
        : api.POST('/v1/carts/{cartId}/checkout', { params, body, signal }),
    ({ status, orderId }) => orderId ?? status,
  );
}
