import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table products (
      sku text primary key,
      name text not null,
      price_value integer not null check (price_value >= 0),
      price_currency char(3) not null,
      stock integer not null check (stock >= 0)
    )`.execute(db);
  // Lines, total and view are nullable because an order can be rolled back before its stock is reserved.
  await sql`
    create table orders (
      order_id text primary key,
      first_run_id text not null,
      customer_id text not null,
      content_hash text not null,
      status text not null,
      stage text not null,
      reservation text not null check (reservation in ('reserved', 'sold', 'released', 'written_off')),
      lines jsonb,
      total_value bigint,
      total_currency char(3),
      run_id text,
      view jsonb,
      placed_at timestamptz not null,
      updated_at timestamptz not null default now(),
      closed_at timestamptz
    )`.execute(db);
  await sql`create index orders_by_time on orders (placed_at, order_id)`.execute(db);
  await sql`create index orders_by_customer on orders (customer_id, placed_at, order_id)`.execute(db);
  await sql`create index orders_by_status on orders (status, placed_at, order_id)`.execute(db);
}
