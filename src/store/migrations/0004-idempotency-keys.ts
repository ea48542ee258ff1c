import { sql, type Kysely } from 'kysely';

/** Adds the table of idempotency keys and their responses. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create table idempotency_keys (
      scope bytea primary key,
      fingerprint bytea not null,
      claim uuid not null,
      claimed_at timestamptz not null default now(),
      status smallint,
      headers jsonb,
      body text
    )`.execute(db);
  await sql`create index idempotency_keys_by_age on idempotency_keys (claimed_at)`.execute(db);
}
