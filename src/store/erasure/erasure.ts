import { sql, type Kysely, type Transaction } from 'kysely';
import { approvalIdOfOrder } from '../../schemas/approval.js';
import { runLongTransaction } from '../postgres/transactions.js';
import type { Tables } from '../tables.js';
import {
  ERASED,
  eraseApprover,
  eraseOrderView,
  eraseRequester,
  eraseTrailOf,
  eraseTrailTexts,
} from './erased-views.js';

/** Maximum number of rows that one transaction erases. A view can have some kilobytes. */
const ROWS_PER_TRANSACTION = 200;

/** The records that contain the id of a person. A person can be a customer, a requester and an approver. */
export interface PersonRecords {
  /** `isOpen`: the order has no outcome, or is in the list for a person. */
  orders: { orderId: string; isOpen: boolean }[];
  /**
   * A cart id can be reused, so `firstRunId` identifies the cart. `isOpen`: the record is open. A terminated workflow
   * leaves its record open.
   */
  carts: { firstRunId: string; cartId: string; isOpen: boolean }[];
  /** `isOpen` as for carts. */
  approvals: { approvalId: string; isOpen: boolean }[];
  /** The number of stored responses to requests with an idempotency key. */
  responseCount: number;
}

export function createErasureStore(db: Kysely<Tables>) {
  return {
    /** Finds all records of a person. Reads whole tables, because no index contains the approvers of closed approvals. */
    async findRecordsOfPerson(personId: string): Promise<PersonRecords> {
      return await runLongTransaction(db, async (tx) => ({
        orders: await findOrders(tx, personId),
        carts: await findCarts(tx, personId),
        approvals: await findApprovals(tx, personId),
        responseCount: await countResponses(tx, personId),
      }));
    },

    /**
     * Erases the records that `findRecordsOfPerson` found, except open orders. Also erases carts and approvals that are
     * open in the store, so the caller must check that their workflows are closed. Erases the orders last, because some
     * carts are found through their orders. The rows stay, so that no id can be used again.
     *
     * @throws the reason of `cancellation`. A repeated call erases the rest.
     */
    async erasePerson(personId: string, records: PersonRecords, cancellation?: AbortSignal): Promise<void> {
      const { orders, carts, approvals } = records;
      const erase = (ids: string[], eraseRows: (tx: Transaction<Tables>, ids: string[]) => Promise<void>) =>
        inTransactions(db, { ids, eraseRows, cancellation });
      await erase(
        carts.map(({ firstRunId }) => firstRunId),
        (tx, ids) => eraseCarts(tx, ids, personId),
      );
      await erase(
        approvals.map(({ approvalId }) => approvalId),
        (tx, ids) => eraseApprovals(tx, ids, personId),
      );
      await erase(
        orders.map(({ orderId }) => orderId),
        eraseOrders,
      );
      await runLongTransaction(db, async (tx) => {
        await tx.deleteFrom('idempotency_keys').where(responseContains(personId)).execute();
      });
    },

    /**
     * Erases the personal data of orders that closed before this time, with their carts and approvals. Skips orders that
     * are in the list for a person.
     *
     * @returns the number of orders.
     */
    async eraseOrdersClosedBefore(before: Date, cancellation?: AbortSignal): Promise<number> {
      for (let total = 0; ;) {
        cancellation?.throwIfAborted();
        const orderIds = await db.transaction().execute(async (tx) => {
          const rows = await selectOrdersToErase(tx, before, ROWS_PER_TRANSACTION).execute();
          const ids = rows.map(({ order_id }) => order_id);
          // The first run id of a cart is the id of its order.
          await eraseCarts(tx, ids);
          await eraseApprovals(tx, ids.map(approvalIdOfOrder));
          await eraseOrders(tx, ids);
          return ids;
        });
        total += orderIds.length;
        if (orderIds.length < ROWS_PER_TRANSACTION) return total;
      }
    },
  };
}

/** The query of the orders whose retention has ended. The index `orders_to_erase` serves it. */
export const selectOrdersToErase = (db: Kysely<Tables>, before: Date, limit: number) =>
  db
    .selectFrom('orders')
    .select('order_id')
    .where('closed_at', '<', before)
    .where('erased_at', 'is', null)
    .where(sql<boolean>`not ${isOpenOrder}`)
    .orderBy('closed_at')
    .limit(limit);

const isOpenOrder = sql<boolean>`(
  (view is null and rolled_back_at is null)
  or exists (select from unreconciled_orders where unreconciled_orders.order_id = orders.order_id)
)`;

async function inTransactions(
  db: Kysely<Tables>,
  {
    ids,
    eraseRows,
    cancellation,
  }: {
    ids: string[];
    eraseRows: (tx: Transaction<Tables>, ids: string[]) => Promise<void>;
    cancellation: AbortSignal | undefined;
  },
): Promise<void> {
  for (let start = 0; start < ids.length; start += ROWS_PER_TRANSACTION) {
    cancellation?.throwIfAborted();
    await db.transaction().execute((tx) => eraseRows(tx, ids.slice(start, start + ROWS_PER_TRANSACTION)));
  }
}

async function findOrders(tx: Transaction<Tables>, customerId: string): Promise<PersonRecords['orders']> {
  const rows = await tx
    .selectFrom('orders')
    .select(['order_id', isOpenOrder.as('is_open')])
    .where('customer_id', '=', customerId)
    .orderBy('placed_at')
    .orderBy('order_id')
    .execute();
  return rows.map((row) => ({ orderId: row.order_id, isOpen: row.is_open }));
}

/** If a cart has no owner, its id is the customer of its order, unless the checkout names a customer. */
async function findCarts(tx: Transaction<Tables>, customerId: string): Promise<PersonRecords['carts']> {
  const rows = await tx
    .selectFrom('carts')
    .select(['first_run_id', 'cart_id', sql<boolean>`status = 'open'`.as('is_open')])
    .where(
      sql<boolean>`customer_id = ${customerId} or (customer_id is null and cart_id = ${customerId}) or (
        customer_id is null and first_run_id in (select order_id from orders where customer_id = ${customerId})
      )`,
    )
    .execute();
  return rows.map((row) => ({ firstRunId: row.first_run_id, cartId: row.cart_id, isOpen: row.is_open }));
}

/** The fields of an approval view that contain persons. `eraseApprover` replaces the same fields. */
const PERSONS_OF_VIEW = `$ ? (@.requestedBy == $id || @.approvers[*] == $id || @.decision.approver == $id
  || @.ifUndecided.nextApprovers[*] == $id || @.trail[*].approver == $id || @.notifications[*].approver == $id)`;

const APPROVERS_OF_TRAIL = '$[*].approver ? (@ == $id)';

/** The fields of API responses that contain persons, at any depth. The id of a cart can be the id of its customer. */
const PERSONS_OF_RESPONSE = `$.** ? (@.customerId == $id || @.cartId == $id || @.requestedBy == $id
  || @.approver == $id || @.approvers[*] == $id || @.approvers[*].id == $id || @.nextApprovers[*] == $id)`;

async function findApprovals(tx: Transaction<Tables>, personId: string): Promise<PersonRecords['approvals']> {
  const rows = await tx
    .selectFrom('approvals')
    .select(['approval_id', sql<boolean>`status = 'pending'`.as('is_open')])
    .where(
      sql<boolean>`requested_by = ${personId} or ${personId} = any(approvers)
        or ${hasPerson('final_view', PERSONS_OF_VIEW, personId)}
        or ${hasPerson('later_comments', APPROVERS_OF_TRAIL, personId)}`,
    )
    .orderBy('number')
    .execute();
  return rows.map((row) => ({ approvalId: row.approval_id, isOpen: row.is_open }));
}

/**
 * Whether a JSON column has the id of a person in the fields of the path. The text search is much faster, so only rows
 * with the quoted id are parsed. Caller ids need no JSON escaping. A text that is no valid `jsonb`, for example because
 * of a NUL character, counts if it contains the quoted id.
 */
function hasPerson(column: 'final_view' | 'later_comments' | 'body', path: string, personId: string) {
  const text = sql`${sql.ref(column)}::text`;
  const vars = JSON.stringify({ id: personId });
  return sql<boolean>`case
    when ${text} is null or strpos(${text}, ${JSON.stringify(personId)}) = 0 then false
    when pg_input_is_valid(${text}, 'jsonb') then jsonb_path_exists(${text}::jsonb, ${path}::jsonpath, ${vars}::jsonb)
    else true
  end`;
}

async function countResponses(tx: Transaction<Tables>, personId: string): Promise<number> {
  const { count } = await tx
    .selectFrom('idempotency_keys')
    .select(({ fn }) => fn.countAll().as('count'))
    .where(responseContains(personId))
    .executeTakeFirstOrThrow();
  return Number(count);
}

const responseContains = (personId: string) => hasPerson('body', PERSONS_OF_RESPONSE, personId);

/**
 * Skips open orders, because their workflows write the customer again. Also removes the content hash, so that the shop
 * rejects every later request with the id of an erased order.
 */
async function eraseOrders(tx: Transaction<Tables>, orderIds: string[]): Promise<void> {
  if (orderIds.length === 0) return;
  const rows = await tx
    .selectFrom('orders')
    .select(['order_id', 'view'])
    .where('order_id', 'in', orderIds)
    .where(sql<boolean>`not ${isOpenOrder}`)
    .forUpdate()
    .execute();
  const views = rows.map(({ order_id, view }) => ({ order_id, view: view && eraseOrderView(view) }));
  await sql`
    update orders set customer_id = null, content_hash = ${ERASED}, view = erased.view, erased_at = now()
    from jsonb_to_recordset(${JSON.stringify(views)}::jsonb) as erased (order_id text, view jsonb)
    where orders.order_id = erased.order_id`.execute(tx);
}

/** @param personId a cart id that equals this id is erased too. */
async function eraseCarts(tx: Transaction<Tables>, firstRunIds: string[], personId?: string): Promise<void> {
  if (firstRunIds.length === 0) return;
  const { rows } = await sql<{ key: string }>`
    select notifications.key
    from carts join notifications using (cart_id)
    where first_run_id = any(${firstRunIds}::text[]) and starts_with(key, first_run_id || ':')`.execute(tx);
  if (rows.length > 0) {
    await tx
      .deleteFrom('notifications')
      .where(
        'key',
        'in',
        rows.map(({ key }) => key),
      )
      .execute();
  }
  await sql`
    update carts set customer_id = null, content_hash = null,
      cart_id = case when cart_id = coalesce(
          ${personId ?? null}, (select orders.customer_id from orders where orders.order_id = carts.first_run_id)
        ) then ${ERASED} else cart_id end,
      status = case when status = 'open' then 'abandoned' else status end,
      closed_at = coalesce(closed_at, now())
    where first_run_id = any(${firstRunIds}::text[])`.execute(tx);
}

/**
 * Erases the requester of approvals. With `personId`, erases only what concerns this person: as requester, as approver,
 * or both.
 */
async function eraseApprovals(tx: Transaction<Tables>, approvalIds: string[], personId?: string): Promise<void> {
  if (approvalIds.length === 0) return;
  const rows = await tx
    .selectFrom('approvals')
    .select(['approval_id', 'requested_by', 'status', 'final_view', 'later_comments'])
    .where('approval_id', 'in', approvalIds)
    .forUpdate()
    .execute();
  for (const row of rows) {
    const { approval_id: approvalId, requested_by: requestedBy, final_view: view, later_comments: comments } = row;
    const isRequester = personId === undefined || requestedBy === personId;
    const erasedView = view && (isRequester ? eraseRequester(view) : view);
    const erasedComments = isRequester ? eraseTrailTexts(comments) : comments;
    await tx
      .updateTable('approvals')
      .set({
        ...(isRequester && { title: ERASED, requested_by: ERASED, content_hash: ERASED }),
        ...(row.status === 'pending' && { status: 'withdrawn', closed_at: new Date() }),
        approvers: [],
        ...(erasedView && {
          final_view: JSON.stringify(personId ? eraseApprover(erasedView, personId) : erasedView),
        }),
        later_comments: JSON.stringify(personId ? eraseTrailOf(erasedComments, personId) : erasedComments),
      })
      .where('approval_id', '=', approvalId)
      .execute();
  }
}
