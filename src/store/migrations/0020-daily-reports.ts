import { sql, type Kysely } from 'kysely';

/** Adds the table of daily figures, and the index that finds the approvals of a day. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`set local statement_timeout = 0`.execute(db);
  await sql`
    create table daily_reports (
      day date primary key,
      figures jsonb not null,
      written_at timestamptz not null default now()
    )`.execute(db);
  await sql`create index approvals_by_request on approvals (requested_at)`.execute(db);
}
