import { sql, type Kysely } from 'kysely';

/** Adds what the erasure of personal data needs: an order without a customer, and the time of the erasure. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`set local statement_timeout = 0`.execute(db);
  await sql`
    alter table orders
      alter column customer_id drop not null,
      add column erased_at timestamptz`.execute(db);
}
