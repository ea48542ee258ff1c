import type { CartChange, CartResource, CartStatus } from '../../../schemas/cart.js';
import type { ClosedCart } from '../../carts/problems.js';
import { readCart } from '../../carts/read.js';
import type { Backends } from '../../dependencies.js';
import { restrictedIdOf, type Caller } from '../../http/caller.js';

/** An open cart, or the outcome of a closed cart. */
export type CartState = { cart: CartResource; outcome?: undefined } | { cart?: undefined; outcome: CartOutcome };

interface CartOutcome {
  status: CartStatus;
  orderId?: string;
  /** The outcome as a sentence. */
  detail: string;
  /** Undefined for a cart whose workflow did not complete. */
  changes?: CartChange[] | undefined;
}

/** Reads a cart for its page, which also shows closed carts. @throws 404, 503. */
export async function readCartState(deps: Backends, cartId: string, caller: Caller): Promise<CartState> {
  const { cart, closed } = await readCart(deps, cartId, restrictedIdOf(caller));
  if (!closed) return { cart };
  if (closed.problem.kind !== 'cart-closed') throw closed.problem;
  return { outcome: outcomeOf(closed) };
}

function outcomeOf({ problem: { message, options }, view }: ClosedCart): CartOutcome {
  const { cartStatus = 'abandoned', orderId } = (options.extensions ?? {}) as {
    cartStatus?: CartStatus;
    orderId?: string;
  };
  return { status: cartStatus, detail: message, changes: view?.changes, ...(orderId !== undefined && { orderId }) };
}
