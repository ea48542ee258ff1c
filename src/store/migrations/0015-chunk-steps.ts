import { sql, type Kysely } from 'kysely';

/**
 * A chunk is applied in several transactions. A worker of an older version applies a whole chunk, so it must not complete
 * a chunk of which some items are already applied.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  // Without `not valid`, the statement would read the whole table.
  await sql`
    alter table batch_chunks add constraint batch_chunks_all_processed
      check (outcome is distinct from 'done' or processed_count in (0, item_count)) not valid`.execute(db);
}
