import { sql, type Kysely } from 'kysely';

/** Adds the table of carrier reports that no order processed. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table shipment_reports (
      webhook_id text primary key,
      number bigint not null generated always as identity unique,
      order_id text not null,
      shipment_id text not null,
      status text not null,
      reason text not null,
      received_at timestamptz not null default now()
    )`.execute(db);
  await sql`create index shipment_reports_by_reason on shipment_reports (reason, number)`.execute(db);
}
