import { sql, type Kysely } from 'kysely';

/** Adds the reference with which a channel can change a delivered message. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`alter table approval_messages add column reference text`.execute(db);
}
