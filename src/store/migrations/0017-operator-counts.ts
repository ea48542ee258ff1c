import { sql, type Kysely } from 'kysely';

/** Adds the time at which an approval is due, for the counts of open work. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`set local statement_timeout = 0`.execute(db);
  await sql`alter table approvals add column due_at timestamptz`.execute(db);
}
