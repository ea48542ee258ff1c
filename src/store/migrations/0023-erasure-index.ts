import { sql, type Kysely } from 'kysely';

/** Adds the index of the orders to erase. While it is built, orders can be read, but not written. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`set local statement_timeout = 0`.execute(db);
  await sql`create index orders_to_erase on orders (closed_at) where erased_at is null`.execute(db);
}
