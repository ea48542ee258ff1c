import { sql, type Kysely } from 'kysely';

/**
 * Adds the index for the search of orders by the start of their id. The primary key serves `like` only in databases
 * with the collation C.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index orders_by_id_prefix on orders (order_id text_pattern_ops)`.execute(db);
}
