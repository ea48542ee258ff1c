import { isOpen } from '../../temporal/client/closed-executions.js';
import type { CartResource, CartView } from '../../schemas/cart.js';
import type { Store } from '../../store/index.js';
import { calculateTotal } from '../../store/products.js';
import { cartQuery, cartWorkflowId } from '../../workflows/cart/contract.js';
import type { Backends } from '../dependencies.js';
import { notFound } from '../problems/http-problem.js';
import { describeOwnedOr404 } from '../temporal/ownership.js';
import { callWorker } from '../temporal/worker-calls.js';
import { goneProblem, readClosedCart, type ClosedCart } from './problems.js';

/** Returns a cart with names and prices from the catalogue. @throws 404, or 410 with the outcome of a closed cart. */
export async function getCart(deps: Backends, cartId: string, restrictedToId?: string): Promise<CartResource> {
  const { cart, closed } = await readCart(deps, cartId, restrictedToId);
  if (closed) throw closed.problem;
  return cart;
}

/** Returns a cart with names and prices from the catalogue, or the outcome of a closed cart. @throws 404. */
export async function readCart(
  { client, store }: Backends,
  cartId: string,
  restrictedToId?: string,
): Promise<{ cart: CartResource; closed?: undefined } | { cart?: undefined; closed: ClosedCart }> {
  const owned = { resource: `cart ${cartId}`, restrictedToId };
  const description = await describeOwnedOr404(client, cartWorkflowId(cartId), owned);
  if (!isOpen(description)) return { closed: await readClosedCart(client, cartId, description) };
  const handle = client.workflow.getHandle(description.workflowId);
  const extensions = { cart: { cartId, status: 'open' } };
  const view = await callWorker(client, description, () => handle.query(cartQuery), extensions);
  // After the description, the cart may have closed, and another customer may have opened a new cart with this id.
  if (restrictedToId !== undefined && view.customerId !== restrictedToId) throw notFound(`there is no cart ${cartId}`);
  if (view.status !== 'open') return { closed: { problem: goneProblem(view), view } };
  return { cart: await withPrices(store, view) };
}

/** Adds the names and prices of the catalogue to a cart, and the total if every line has a price. */
export async function withPrices(store: Store, view: CartView): Promise<CartResource> {
  const products = await store.findProducts(view.lines.map(({ sku }) => sku));
  const lines = view.lines.map((line) => {
    const product = products.get(line.sku);
    return { ...line, ...(product && { name: product.name, unitPrice: product.price }) };
  });
  const calculated = calculateTotal(view.lines, products);
  return { ...view, lines, ...(calculated.status === 'priced' && { total: calculated.total }) };
}
