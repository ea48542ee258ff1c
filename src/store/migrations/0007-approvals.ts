import { sql, type Kysely } from 'kysely';

/** Adds the tables of approvals and of delivered messages. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table approvals (
      approval_id text primary key,
      number bigint not null generated always as identity unique,
      first_run_id text not null,
      content_hash text not null,
      status text not null check (status in ('pending', 'approved', 'rejected', 'timed_out', 'withdrawn')),
      title text not null,
      requested_by text not null,
      amount_value bigint,
      amount_currency char(3),
      stage integer not null,
      stages integer not null,
      approvers text[] not null,
      deadline timestamptz not null,
      requested_at timestamptz not null,
      closed_at timestamptz,
      final_view json,
      later_comments json not null default '[]'
    )`.execute(db);
  await sql`create index approvals_by_status on approvals (status, number)`.execute(db);
  await sql`create index approvals_by_requester on approvals (requested_by, number)`.execute(db);
  await sql`create index approvals_by_requester_and_status on approvals (requested_by, status, number)`.execute(db);
  await sql`create index approvals_by_approver on approvals using gin (approvers) where status = 'pending'`.execute(db);
  await sql`
    create table approval_messages (
      message_id text primary key,
      approval_id text not null,
      sent_at timestamptz not null default now()
    )`.execute(db);
}
