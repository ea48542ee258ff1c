import type { Client } from '@temporalio/client';
import { sql } from 'kysely';
import type { Store } from '../../../src/store/index.js';
import { approvalQuery } from '../../../src/workflows/approval/contract.js';
import { cartQuery } from '../../../src/workflows/cart/contract.js';
import { orderIdOf, orderQuery } from '../../../src/workflows/order/contract.js';
import type { WorkflowCode } from '../../replay/replay-histories.js';
import type { StackAddresses } from '../../stack/stack.js';
import { waitUntil } from '../../processes/wait.js';
import type { PartnerRecords } from './balance.js';
import { isOrderRun, type WorkflowRun } from './runs.js';
import type { Findings } from './findings.js';
import { readHistories, type HistoryFacts } from './histories.js';

/** The data sources of the auditor. */
export interface AuditSources {
  addresses: Pick<StackAddresses, 'paymentsUrl'>;
  client: Client;
  /** A store that connects as the database owner, who may read all tables. */
  store: Store;
  /** The workflow code with which the auditor replays histories. */
  workflowCode: WorkflowCode;
}

/** A worker that has just restarted may need this long to answer a query. */
const QUERY_DEADLINE_MS = 20_000;

/** A row of the table `orders`. */
export interface OrderRecord {
  status: string;
  reservation: string;
}

/** The data that the auditor compares with the client log. */
export interface Evidence {
  /** All runs, newest first, as visibility lists them. */
  runs: WorkflowRun[];
  runsOf: (workflowId: string) => WorkflowRun[];
  /** Returns the ids of a customer's orders. */
  ordersOf: (customerId: string) => string[];
  /**
   * Returns the result of the newest run. While that run is open, returns its query result. Undefined when the run has
   * neither.
   */
  viewOf: <View>(workflowId: string) => View | undefined;
  facts: HistoryFacts;
  /** Returns the records of an order in the external systems. */
  partnerRecordsOf: (orderId: string) => PartnerRecords;
  /** Returns the quantities that an order holds, by SKU. */
  heldQuantitiesOf: (orderId: string) => ReadonlyMap<string, number>;
  /** Returns the order's row in the store. */
  orderRecordOf: (orderId: string) => OrderRecord | undefined;
  /** The ids of orders that hold stock. */
  orderIdsHoldingStock: string[];
  /** The available quantities, by SKU. */
  stockBySku: ReadonlyMap<string, number>;
}

/** Reads all evidence once, and replays the histories. */
export async function gatherEvidence(
  runs: WorkflowRun[],
  sources: AuditSources,
  findings: Findings,
): Promise<Evidence> {
  const { client, workflowCode } = sources;
  const facts = await readHistories(client, runs, workflowCode, findings);
  const byWorkflow = groupBy(runs, ({ workflowId }) => workflowId);
  const orders = groupBy(runs.filter(isOrderRun), ({ customerId = '' }) => customerId);
  const views = new Map<string, unknown>();
  for (const [workflowId, [newest]] of byWorkflow) views.set(workflowId, await readView(client, newest!, facts));
  const partnerRecords = await readPartnerRecords(sources);
  const pieces = await readHeldQuantities(sources);
  const records = await readOrderRecords(sources);
  return {
    runs,
    runsOf: (workflowId) => byWorkflow.get(workflowId) ?? [],
    ordersOf: (customerId) => [
      ...new Set((orders.get(customerId) ?? []).map(({ workflowId }) => orderIdOf(workflowId))),
    ],
    viewOf: <View>(workflowId: string) => views.get(workflowId) as View | undefined,
    facts,
    partnerRecordsOf: (orderId) => filterByOrder(partnerRecords, orderId),
    heldQuantitiesOf: (orderId) => pieces.get(orderId) ?? new Map(),
    orderRecordOf: (orderId) => records.get(orderId),
    orderIdsHoldingStock: [...pieces.keys()],
    stockBySku: await readStock(sources),
  };
}

async function readView(
  client: Client,
  { workflowId, runId, type, status }: WorkflowRun,
  facts: HistoryFacts,
): Promise<unknown> {
  if (status === 'COMPLETED') return facts.results.get(runId);
  const query = { order: orderQuery, cart: cartQuery, approval: approvalQuery }[type];
  if (!query || status === 'TERMINATED') return undefined;
  const queryView = () => client.workflow.getHandle(workflowId, runId).query<unknown>(query.name);
  return await waitUntil(queryView, {
    description: `${workflowId} answering its query`,
    timeoutMs: QUERY_DEADLINE_MS,
  }).catch(() => undefined);
}

async function readPartnerRecords({ addresses }: AuditSources): Promise<PartnerRecords> {
  const response = await fetch(new URL('/test/ledger', addresses.paymentsUrl));
  if (!response.ok) throw new Error(`the fakes returned ${response.status} for their ledger`);
  return (await response.json()) as PartnerRecords;
}

const filterByOrder = (partnerRecords: PartnerRecords, orderId: string): PartnerRecords =>
  Object.fromEntries(
    Object.entries(partnerRecords).map(([kind, rows]) => [
      kind,
      (rows as { orderId: string | null }[]).filter((row) => row.orderId === orderId),
    ]),
  ) as PartnerRecords;

async function readHeldQuantities({ store }: AuditSources): Promise<Map<string, Map<string, number>>> {
  const { rows } = await sql<{ order_id: string; sku: string; quantity: number }>`
    select order_id, sku, quantity
    from orders, jsonb_to_recordset(lines) as line (sku text, quantity int)
    where reservation in ('reserved', 'sold', 'written_off')`.execute(store.db);
  return new Map(
    [...groupBy(rows, ({ order_id }) => order_id)].map(([orderId, lines]) => [
      orderId,
      new Map(lines.map(({ sku, quantity }) => [sku, quantity])),
    ]),
  );
}

async function readOrderRecords({ store }: AuditSources): Promise<Map<string, OrderRecord>> {
  const rows = await store.db.selectFrom('orders').select(['order_id', 'status', 'reservation']).execute();
  return new Map(rows.map(({ order_id, ...record }) => [order_id, record]));
}

async function readStock({ store }: AuditSources): Promise<Map<string, number>> {
  const rows = await store.db.selectFrom('products').select(['sku', 'stock']).execute();
  return new Map(rows.map(({ sku, stock }) => [sku, stock]));
}

function groupBy<Row>(rows: Row[], keyOf: (row: Row) => string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}
