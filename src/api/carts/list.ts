import type { CartStatus, CartSummary } from '../../schemas/cart.js';
import type { CartRecord } from '../../store/carts.js';
import { findUnrecordedCloses } from '../../temporal/client/closed-executions.js';
import { cartWorkflowId } from '../../workflows/cart/contract.js';
import type { Backends } from '../dependencies.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/list-pages.js';

/**
 * Lists a page of carts from the store, newest first. A cart appears when its first item is added. If several carts had
 * the same id, each of them is listed.
 */
export async function listCarts(
  { client, store }: Backends,
  { customerId, status }: { customerId?: string | undefined; status?: CartStatus | undefined },
  page: PageRequest,
): Promise<Page<CartSummary>> {
  const { limit, position } = page;
  // A cart whose workflow was terminated counts as abandoned, but still has the status `open` in the store.
  const statuses = status === 'abandoned' ? (['abandoned', 'open'] as const) : status && [status];
  const before = position === undefined ? undefined : Number(position);
  const rows = await store.listCarts({ customerId, statuses }, { before, limit });
  const open = rows.filter((row) => row.status === 'open');
  const closes = await findUnrecordedCloses(
    client,
    open.map(({ cartId, openedAt }) => ({ workflowId: cartWorkflowId(cartId), since: openedAt })),
  );
  const items = rows
    .map((row) => summaryOf(row, row.status === 'open' && closes.has(cartWorkflowId(row.cartId))))
    .filter((item) => status === undefined || item.status === status);
  return { items, ...nextPositionAfter(rows, page, ({ number }) => String(number)) };
}

function summaryOf(row: CartRecord, isTerminated: boolean): CartSummary {
  const { cartId, customerId, status, orderId, openedAt, closedAt } = row;
  return {
    cartId,
    ...(customerId !== undefined && { customerId }),
    status: isTerminated ? 'abandoned' : status,
    // Omits the order id of a checkout that timed out. The store keeps that id for an open or abandoned cart.
    ...(status === 'checked_out' && orderId !== undefined && { orderId }),
    openedAt: openedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
  };
}
