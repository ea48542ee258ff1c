import type { Client } from '@temporalio/client';
import { sql } from 'kysely';
import type { Store } from '../../../src/store/index.js';
import { approvalQuery } from '../../../src/workflows/approval/contract.js';
import { cartQuery } from '../../../src/workflows/cart/contract.js';
import { orderIdOf, orderStatusQuery } from '../../../src/workflows/order/contract.js';
import type { Code } from '../../replay/replay.js';
import type { Addresses } from '../../stack/stack.js';
import { waitUntil } from '../../processes/wait.js';
import type { Statement } from './balance.js';
import { isOrder, type Run } from './executions.js';
import type { Findings } from './findings.js';
import { readHistories, type Facts } from './histories.js';

/** The data sources of the auditor. */
export interface Books {
  addresses: Pick<Addresses, 'paymentsUrl'>;
  client: Client;
  /** The store of the database owner, who may read everything. */
  store: Store;
  /** The code that replays histories. */
  code: Code;
}

/** Workers that have just restarted may be busy. */
const VIEW_DEADLINE_MS = 20_000;

/** The store's record of an order. */
export interface OrderRecord {
  status: string;
  reservation: string;
}

/** All evidence that the auditor reads. */
export interface Evidence {
  /** Newest first, as visibility lists them. */
  runs: Run[];
  runsOf: (workflowId: string) => Run[];
  /** The orders of a customer. */
  ordersOf: (customerId: string) => string[];
  /** The view of the newest run: its result, or else its query result; undefined when it has neither. */
  viewOf: <View>(workflowId: string) => View | undefined;
  facts: Facts;
  /** The records of an order in the external systems. */
  statementOf: (orderId: string) => Statement;
  /** The pieces that an order holds, by SKU. */
  piecesOf: (orderId: string) => ReadonlyMap<string, number>;
  /** The record of an order in the store. */
  recordOf: (orderId: string) => OrderRecord | undefined;
  /** Orders that hold stock. */
  holders: string[];
  /** The pieces that are still for sale, by SKU. */
  stock: ReadonlyMap<string, number>;
}

/** Reads all evidence once, and replays the histories. */
export async function gather(runs: Run[], books: Books, findings: Findings): Promise<Evidence> {
  const { client, code } = books;
  const facts = await readHistories(client, runs, code, findings);
  const byWorkflow = grouped(runs, ({ workflowId }) => workflowId);
  const orders = grouped(runs.filter(isOrder), ({ customerId = '' }) => customerId);
  const views = new Map<string, unknown>();
  for (const [workflowId, [newest]] of byWorkflow) views.set(workflowId, await viewOf(client, newest!, facts));
  const statement = await readStatement(books);
  const pieces = await readPieces(books);
  const records = await readRecords(books);
  return {
    runs,
    runsOf: (workflowId) => byWorkflow.get(workflowId) ?? [],
    ordersOf: (customerId) => [
      ...new Set((orders.get(customerId) ?? []).map(({ workflowId }) => orderIdOf(workflowId))),
    ],
    viewOf: <View>(workflowId: string) => views.get(workflowId) as View | undefined,
    facts,
    statementOf: (orderId) => ofOrder(statement, orderId),
    piecesOf: (orderId) => pieces.get(orderId) ?? new Map(),
    recordOf: (orderId) => records.get(orderId),
    holders: [...pieces.keys()],
    stock: await readStock(books),
  };
}

async function viewOf(client: Client, { workflowId, runId, type, status }: Run, facts: Facts): Promise<unknown> {
  if (status === 'COMPLETED') return facts.results.get(runId);
  const query = { order: orderStatusQuery, cart: cartQuery, approval: approvalQuery }[type];
  if (!query || status === 'TERMINATED') return undefined;
  const ask = () => client.workflow.getHandle(workflowId, runId).query<unknown>(query.name);
  return await waitUntil(ask, { what: `${workflowId} saying how it stands`, deadlineMs: VIEW_DEADLINE_MS }).catch(
    () => undefined,
  );
}

async function readStatement({ addresses }: Books): Promise<Statement> {
  const response = await fetch(new URL('/test/ledger', addresses.paymentsUrl));
  if (!response.ok) throw new Error(`the outside world does not show its ledger: ${response.status}`);
  return (await response.json()) as Statement;
}

const ofOrder = (statement: Statement, orderId: string): Statement =>
  Object.fromEntries(
    Object.entries(statement).map(([kind, rows]) => [
      kind,
      (rows as { orderId: string | null }[]).filter((row) => row.orderId === orderId),
    ]),
  ) as Statement;

async function readPieces({ store }: Books): Promise<Map<string, Map<string, number>>> {
  const { rows } = await sql<{ order_id: string; sku: string; quantity: number }>`
    select order_id, sku, quantity
    from orders, jsonb_to_recordset(lines) as line (sku text, quantity int)
    where reservation in ('reserved', 'sold', 'written_off')`.execute(store.db);
  return new Map(
    [...grouped(rows, ({ order_id }) => order_id)].map(([orderId, lines]) => [
      orderId,
      new Map(lines.map(({ sku, quantity }) => [sku, quantity])),
    ]),
  );
}

async function readRecords({ store }: Books): Promise<Map<string, OrderRecord>> {
  const rows = await store.db.selectFrom('orders').select(['order_id', 'status', 'reservation']).execute();
  return new Map(rows.map(({ order_id, ...record }) => [order_id, record]));
}

async function readStock({ store }: Books): Promise<Map<string, number>> {
  const rows = await store.db.selectFrom('products').select(['sku', 'stock']).execute();
  return new Map(rows.map(({ sku, stock }) => [sku, stock]));
}

function grouped<Row>(rows: Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}
