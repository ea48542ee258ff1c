import { sql, type Kysely } from 'kysely';

/**
 * Adds the table of carts and the progress columns of batches. Lists read both. The carts table also binds a cart to
 * one order.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table carts (
      first_run_id text primary key,
      cart_id text not null,
      customer_id text,
      status text not null,
      order_id text,
      content_hash text,
      number integer not null generated always as identity unique,
      opened_at timestamptz not null default now(),
      closed_at timestamptz
    )`.execute(db);
  await sql`create index carts_by_customer on carts (customer_id, number)`.execute(db);
  await sql`create index carts_by_status on carts (status, number)`.execute(db);
  await sql`
    alter table batches
      add column status text not null default 'staged',
      add column succeeded integer not null default 0,
      add column failed integer not null default 0,
      add column items_per_second real,
      add column progress_at timestamptz,
      add column started_at timestamptz,
      add column closed_at timestamptz`.execute(db);
  await sql`create index batches_by_status on batches (status, number)`.execute(db);
}
