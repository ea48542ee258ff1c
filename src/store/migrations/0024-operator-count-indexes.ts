import { sql, type Kysely } from 'kysely';

/** Adds indexes for the counts of open work. The metrics and the first page of the console read them often. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`set local statement_timeout = 0`.execute(db);
  await sql`
    create index approvals_pending_by_due on approvals ((coalesce(due_at, deadline)))
    where status = 'pending'`.execute(db);
  await sql`
    create index batch_chunks_by_change on batch_chunks (attempt_id, changed_at)
    where changed_at is not null`.execute(db);
}
