import { sql, type Kysely } from 'kysely';

/** Adds what the deletion of old notifications and batch items needs. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create index notifications_by_age on notifications (created_at)`.execute(db);
  await sql`
    alter table batches
      add column items_expired_at timestamptz,
      add column items_deleted_at timestamptz`.execute(db);
  await sql`create index batches_with_items on batches (closed_at) where items_deleted_at is null`.execute(db);
}
