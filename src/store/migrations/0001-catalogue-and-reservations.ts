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
  await sql`
    create table reservations (
      order_id text primary key,
      owner text not null,
      status text not null check (status in ('reserved', 'released')),
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`
    create table reservation_lines (
      order_id text not null references reservations,
      sku text not null references products,
      quantity integer not null check (quantity > 0),
      primary key (order_id, sku)
    )`.execute(db);
}
