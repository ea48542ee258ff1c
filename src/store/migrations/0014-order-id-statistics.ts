import { sql, type Kysely } from 'kysely';

/**
 * Samples more order ids for the planner. With the default of 100 histogram entries, the planner estimates that one
 * order in a hundred has a rare prefix if one of the entries has it, and then reads all orders by time instead of the
 * index of the ids.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table orders alter column order_id set statistics 1000`.execute(db);
}
