import { sql, type Kysely } from 'kysely';

/**
 * Adds the table of uploads whose items are not part of a batch yet, and a function that deletes their items. The app role
 * must not delete from `batch_chunks`, so the function runs as the owner and never deletes the chunks of a batch.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table batch_uploads (
      attempt_id integer primary key,
      batch_id text not null,
      items_per_chunk integer not null,
      started_at timestamptz not null default now(),
      last_part_at timestamptz not null default now(),
      abandoned_at timestamptz
    )`.execute(db);
  await sql`
    create function delete_upload_chunks(upload integer, first_chunk integer, chunk_count integer) returns void
    language sql security definer set search_path = '' as $$
      delete from public.batch_chunks
      where attempt_id = upload and chunk_index >= first_chunk and chunk_index < first_chunk + chunk_count
        and not exists (select from public.batch_attempts where attempt_id = upload)
    $$`.execute(db);
  await sql`revoke execute on function delete_upload_chunks from public`.execute(db);
}
