import type { Schemas } from '../../api-client/client.js';
import type { AskedCart, CartChange } from '../ledger.js';
import { CART } from './products.js';
import { aRequest, ask, named, type Visit } from './visit.js';

/** One product for each customer of the cart, and one product that all of them add. */
const OWN = CART.slice(0, -1).map(({ sku }) => sku);
const SHARED = CART.at(-1)!.sku;

const MOST_CHANGES = 5;
const MOST_PIECES = 3;

/** What happens to carts, weighted by repetition. */
const ENDS: AskedCart['end'][] = ['checked out', 'checked out', 'checked out', 'abandoned', 'open'];

/** Several customers fill a cart at the same time. Then one of them ends it, or it stays open. */
export async function cartStory(visit: Visit): Promise<void> {
  const { id, random, ledger } = visit;
  const end = random.of(ENDS);
  const cart: AskedCart = { cartId: id, changes: [], end, closing: [], customerId: id, token: 'tok_ok' };
  ledger.carts.push(cart);
  await Promise.all(OWN.map((own) => fill({ ...visit, id: `${id}-${own}`, random: random.branch(own) }, cart, own)));
  if (end === 'abandoned') await close(visit, cart, 'abandon');
  if (end === 'checked out') {
    const atOnce = random.chance(0.3) ? ['checkout', 'checkout too'] : ['checkout'];
    await Promise.all(atOnce.map((name) => close(visit, cart, name)));
  }
}

/** Makes one customer's changes, each after the response to the previous one. Stops when a change is not accepted. */
async function fill(visit: Visit, cart: AskedCart, own: string): Promise<void> {
  const { random } = visit;
  let pieces = 0;
  for (let number = random.from(1, MOST_CHANGES); number > 0; number -= 1) {
    const isShared = random.chance(0.25);
    const kind = isShared || pieces === 0 ? 'add' : random.of(['add', 'set', 'set', 'remove'] as const);
    const change: CartChange = {
      ...aRequest(visit, String(number)),
      kind,
      sku: isShared ? SHARED : own,
      quantity: random.from(1, MOST_PIECES),
    };
    cart.changes.push(change);
    await send(visit, cart, change);
    if (change.fate !== 'accepted') return;
    if (isShared) continue;
    pieces = { add: pieces + change.quantity, set: change.quantity, remove: 0 }[kind];
  }
}

async function send(visit: Visit, { cartId }: AskedCart, change: CartChange): Promise<void> {
  const { api } = visit.caller;
  const { kind, sku, quantity } = change;
  const header = named(change);
  const path = { cartId, sku };
  const pieces = (cart: Schemas['Cart']) =>
    sku === SHARED ? 'changed' : String(cart.lines.find((line) => line.sku === sku)?.quantity ?? 0);
  await ask(
    visit,
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

async function close(visit: Visit, { cartId, closing, customerId, token }: AskedCart, name: string): Promise<void> {
  const { api } = visit.caller;
  const asked = aRequest(visit, name);
  closing.push(asked);
  const params = { path: { cartId }, header: named(asked) };
  const body = { payment: { token }, customerId };
  await ask(
    visit,
    asked,
    name === 'abandon' ? name : 'check out',
    ({ signal }) =>
      name === 'abandon'
        ? api.DELETE('/v1/carts/{cartId}', { params, signal })
        : api.POST('/v1/carts/{cartId}/checkout', { params, body, signal }),
    ({ status, orderId }) => orderId ?? status,
  );
}
