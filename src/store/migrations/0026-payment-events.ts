import { sql, type Kysely } from 'kysely';

/** Adds the table of the events that the payment provider reported. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table payment_events (
      event_id text primary key,
      type text not null,
      charge_id text not null,
      order_id text,
      dispute_id text,
      received_at timestamptz not null default now()
    )`.execute(db);
  // For the audit of the last days, and for the deletion of old events.
  await sql`create index payment_events_by_time on payment_events (received_at)`.execute(db);
  await sql`create index payment_events_by_charge on payment_events (charge_id)`.execute(db);
  // For the audit, which reads the refunds of the whole retention.
  await sql`create index payment_events_refunded on payment_events (order_id) where type = 'refunded'`.execute(db);
  await sql`create index payment_events_by_dispute on payment_events (dispute_id) where dispute_id is not null`.execute(
    db,
  );
}
