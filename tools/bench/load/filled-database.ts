import pg from 'pg';
import { migrate } from '../../../src/store/migrations/index.js';
import { openStore } from '../../../src/store/index.js';

/** The customer of a tenth of all orders and carts. */
export const LARGEST_CUSTOMER = 'wholesale';
/** A word in the names of the last products, in SKU order. */
export const LATE_WORD = 'teapot';
/** A word in the names of the second half of the products. */
export const HALF_WORD = 'clearance';
/** A word in the names of all products. */
export const COMMON_WORD = 'article';

/**
 * Creates the schema in an empty database, and fills it as a shop that has processed `orderCount` orders would: with as
 * many carts and products, a tenth as many approvals and carrier reports, and a hundredth as many batches, but at least
 * 200. Everything is closed, because Temporal knows none of the workflows. Each rare status has enough rows for a page,
 * so that pages of shops of different sizes have the same length.
 */
export async function fillDatabase(databaseUrl: string, orderCount: number): Promise<void> {
  const store = openStore({ databaseUrl, maxConnections: 1, onIdleError: () => undefined });
  await migrate(store.db).finally(() => store.close());
  // Has no timeout for statements, unlike the store.
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    for (const statement of [PRODUCTS, ORDERS, CARTS, APPROVALS, BATCHES, ATTEMPTS, CHUNKS, REPORTS])
      await client.query(statement, [orderCount]);
    await client.query('vacuum analyze');
  } finally {
    await client.end();
  }
}

/** The last tenth of the products is never sold. */
const PRODUCTS = `
  insert into products (sku, name, price_value, price_currency, stock)
  select 'SKU-' || lpad(n::text, 6, '0'),
    'Article ' || n || case when n > count / 2 then ', clearance' else '' end
      || case when n > count - greatest(60, count / 100) then ', teapot' else '' end,
    100 + n % 5000, 'EUR', 10
  from (select $1::int as count) as size, generate_series(1, count) as n`;

const CUSTOMER = `case when n % 10 = 0 then 'wholesale' else 'customer-' || n % (count / 20) end`;

const ORDERS = `
  insert into orders (order_id, first_run_id, customer_id, content_hash, status, stage, reservation, lines,
    total_value, total_currency, run_id, view, placed_at, closed_at)
  select order_id, run_id, customer_id, md5(order_id), status, 'done',
    case status when 'completed' then 'sold' else 'released' end, lines, 200, 'EUR', run_id,
    jsonb_build_object('orderId', order_id, 'customerId', customer_id, 'status', status, 'stage', 'done',
      'lines', lines, 'total', jsonb_build_object('value', 200, 'currency', 'EUR'),
      'steps', jsonb_build_array(
        jsonb_build_object('name', 'reserveStock', 'status', 'completed', 'startedAt', at, 'endedAt', at),
        jsonb_build_object('name', 'chargePayment', 'status', 'completed', 'startedAt', at, 'endedAt', at),
        jsonb_build_object('name', 'requestShipment', 'status', 'completed', 'startedAt', at, 'endedAt', at)),
      'compensations', '[]'::jsonb),
    placed_at, placed_at + interval '1 hour'
  from (select $1::int as count) as size, generate_series(1, count) as n
  cross join lateral (
    select 'order-' || lpad(n::text, 6, '0') as order_id, md5('run' || n) as run_id, ${CUSTOMER} as customer_id,
      case when n <= greatest(60, count / 1000) then 'rejected' when n % 50 = 0 then 'cancelled'
        when n % 20 = 10 then 'failed'
        else 'completed' end as status,
      now() - (count - n) * interval '1 minute' as placed_at,
      jsonb_build_array(jsonb_build_object('sku', 'SKU-' || lpad((1 + n % (count * 9 / 10))::text, 6, '0'),
        'quantity', 2, 'name', 'Article', 'unitPrice', jsonb_build_object('value', 100, 'currency', 'EUR'))) as lines
  ) as placed
  cross join lateral (
    select to_char(placed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at
  ) as written`;

/** All abandoned carts are old. */
const CARTS = `
  insert into carts (first_run_id, cart_id, customer_id, status, order_id, opened_at, closed_at)
  select md5('cart' || n), 'cart-' || n, ${CUSTOMER},
    case when n <= greatest(60, count / 100) then 'abandoned' when n % 10 = 1 then 'expired' else 'checked_out' end,
    'order-' || lpad(n::text, 6, '0'), now() - (count - n) * interval '1 minute', now()
  from (select $1::int as count) as size, generate_series(1, count) as n`;

/** All withdrawn approvals are old. */
const APPROVALS = `
  insert into approvals (approval_id, first_run_id, content_hash, status, title, requested_by, amount_value,
    amount_currency, stage, stages, approvers, deadline, requested_at, closed_at, final_view)
  select approval_id, md5(approval_id), md5(approval_id), status, title, requested_by, 100000, 'EUR', 1, 2, '{}',
    at, at, at,
    json_build_object('approvalId', approval_id, 'status', status, 'title', title, 'requestedBy', requested_by,
      'stage', 1, 'stages', 2, 'approvers', json_build_array('grace'), 'trail', '[]'::json, 'notifications', '[]'::json)
  from (select $1::int as count) as size, generate_series(1, count / 10) as n
  cross join lateral (
    select 'approval-' || n as approval_id, 'Request ' || n as title, ${CUSTOMER} as requested_by,
      case when n <= greatest(60, count / 1000) then 'withdrawn' when n % 7 = 0 then 'rejected' else 'approved' end as status,
      now() - (count / 10 - n) * interval '10 minutes' as at
  ) as request`;

/** All cancelled batches are old. Each batch has a hundred items, and every third batch has ten failed items. */
const BATCHES = `
  insert into batches (batch_id, operation, items_per_chunk, total, content_hash, status, succeeded, failed,
    progress_at, started_at, closed_at, created_at)
  select 'batch-' || n, 'restock', 100, 100, md5('batch' || n),
    case when n % 3 = 0 then 'completed_with_failures' when n <= greatest(90, count / 200) then 'cancelled' else 'completed' end,
    case when n % 3 = 0 then 90 else 100 end, case when n % 3 = 0 then 10 else 0 end, now(), now(), now(),
    now() - (count / 100 - n) * interval '100 minutes'
  from (select $1::int as count) as size, generate_series(1, greatest(200, count / 100)) as n`;

const ATTEMPTS = `
  insert into batch_attempts (attempt_id, batch_id, attempt, chunk_count, succeeded_before, first_run_id, opened_at)
  overriding system value
  select n, 'batch-' || n, 1, 1, 0, md5('batch' || n), now() from generate_series(1, greatest(200, $1::int / 100)) as n`;

const CHUNKS = `
  insert into batch_chunks (attempt_id, chunk_index, items, item_count, outcome, processed_count, succeeded, failed,
    failures, changed_at)
  select n, 0,
    (select json_agg(json_build_array(line, json_build_object('sku', 'SKU-' || line, 'quantity', 1)))
      from generate_series(1, 100) as line),
    100, 'done', 100, case when n % 3 = 0 then 90 else 100 end, case when n % 3 = 0 then 10 else 0 end,
    case when n % 3 = 0 then (select json_agg(json_build_array(index, 'UnknownSku', 'not in the catalogue'))
      from generate_series(0, 9) as index) end,
    now()
  from generate_series(1, greatest(200, $1::int / 100)) as n`;

/** All reports of an unknown status are old. */
const REPORTS = `
  insert into shipment_reports (webhook_id, order_id, shipment_id, status, reason, received_at)
  select 'report-' || n, 'order-' || lpad(n::text, 6, '0'), 'sh_' || n, 'delivered',
    case when n <= greatest(60, count / 1000) then 'unknown_status' when n % 5 = 0 then 'contradicts_outcome' else 'order_closed' end,
    now() - (count / 10 - n) * interval '10 minutes'
  from (select $1::int as count) as size, generate_series(1, count / 10) as n`;
