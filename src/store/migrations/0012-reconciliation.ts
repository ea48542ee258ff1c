import { sql, type Kysely } from 'kysely';

/** Adds what the reconciliation of orders with Temporal needs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table orders add column rolled_back_at timestamptz`.execute(db);
  await sql`
    create index orders_without_outcome on orders (placed_at, order_id)
    where view is null and rolled_back_at is null`.execute(db);
  await sql`
    create table unreconciled_orders (
      order_id text primary key references orders,
      problem text not null,
      found_at timestamptz not null default now(),
      tried_at timestamptz not null default now()
    )`.execute(db);
}
