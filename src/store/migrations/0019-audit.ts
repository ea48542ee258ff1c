import { sql, type Kysely } from 'kysely';

/** Lets the audit add orders to the list for a person, also orders that the database does not have. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    alter table unreconciled_orders
      drop constraint unreconciled_orders_order_id_fkey,
      add column audit_run_id text`.execute(db);
}
