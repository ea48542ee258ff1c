import { isOpen } from '../../temporal/client/closed-executions.js';
import type { CartList, CartListQuery, CartStatus, CartSummary } from '../../schemas/cart.js';
import type { CartRecord } from '../../store/carts.js';
import { cartWorkflowId } from '../../workflows/cart/contract.js';
import type { AppDependencies, Backends } from '../dependencies.js';
import { assertActsAsSelf, restrictedIdOf, type Caller } from '../http/caller.js';
import { nextPositionAfter, readListPage, type Page, type PageRequest } from '../http/lists/list-pages.js';
import { correctRows } from '../temporal/list-corrections.js';

/**
 * Lists a page of carts from the store, newest first. A cart appears when its first item is added. If several carts had
 * the same id, each of them is listed.
 *
 * @throws 403 if a shopper lists the carts of another customer.
 */
export async function listCarts(
  deps: Backends & Pick<AppDependencies, 'cursors'>,
  query: CartListQuery,
  caller: Caller,
): Promise<CartList> {
  const { status, customerId = restrictedIdOf(caller) } = query;
  assertActsAsSelf(caller, customerId, 'customer');
  const filter = { status, customerId };
  return await readListPage(deps.cursors, {
    list: 'carts',
    filter,
    query,
    read: (page) => readCarts(deps, filter, page),
  });
}

async function readCarts(
  { client, store }: Backends,
  { customerId, status }: { customerId: string | undefined; status: CartStatus | undefined },
  page: PageRequest,
): Promise<Page<CartSummary>> {
  const { limit, position } = page;
  // A cart whose workflow was terminated counts as abandoned, but still has the status `open` in the store.
  const statuses = status === 'abandoned' ? (['abandoned', 'open'] as const) : status && [status];
  const before = position === undefined ? undefined : Number(position);
  const rows = await store.listCarts({ customerId, statuses }, { before, limit });
  const corrected = await correctRows(client, rows, {
    workflowOf: ({ cartId, status, openedAt }) =>
      status === 'open' ? { workflowId: cartWorkflowId(cartId), openSince: openedAt } : undefined,
    correct: (row, execution): CartRecord => (execution && !isOpen(execution) ? { ...row, status: 'abandoned' } : row),
  });
  const items = corrected.map(summaryOf).filter((item) => status === undefined || item.status === status);
  return { items, ...nextPositionAfter(rows, page, ({ number }) => String(number)) };
}

function summaryOf({ cartId, customerId, status, orderId, openedAt, closedAt }: CartRecord): CartSummary {
  return {
    cartId,
    ...(customerId !== undefined && { customerId }),
    status,
    // Omits the order id of a checkout that timed out. The store keeps that id for an open or abandoned cart.
    ...(status === 'checked_out' && orderId !== undefined && { orderId }),
    openedAt: openedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}
