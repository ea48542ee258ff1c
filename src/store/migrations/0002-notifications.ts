import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table notifications (
      key text primary key,
      cart_id text not null,
      kind text not null,
      created_at timestamptz not null default now()
    )`.execute(db);
  await sql`create index notifications_by_cart on notifications (cart_id, created_at)`.execute(db);
}
