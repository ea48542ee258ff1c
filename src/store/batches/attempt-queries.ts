import { sql, type Kysely, type Selectable } from 'kysely';
import type { Tables } from '../tables.js';

export type AttemptRow = Selectable<Tables['batch_attempts']>;

/** Length of the time window over which the rate of a batch is measured. */
export const RATE_WINDOW_SECONDS = 10;

/** Returns the last attempt of a batch. Every batch has at least one attempt. */
export async function findLastAttempt(db: Kysely<Tables>, batchId: string): Promise<AttemptRow> {
  return await db
    .selectFrom('batch_attempts')
    .selectAll()
    .where('batch_id', '=', batchId)
    .orderBy('attempt', 'desc')
    .limit(1)
    .executeTakeFirstOrThrow();
}

/**
 * Counts the items of an attempt. `recent` counts the items of chunks that changed in the last `RATE_WINDOW_SECONDS`.
 */
export async function countItems(db: Kysely<Tables>, attemptId: number) {
  const { rows } = await sql<{ succeeded: number; failed: number; recent: number }>`
    select coalesce(sum(succeeded), 0)::int as succeeded, coalesce(sum(failed), 0)::int as failed,
      coalesce(sum(succeeded + failed) filter (where changed_at > now() - make_interval(secs => ${RATE_WINDOW_SECONDS})), 0)::int as recent
    from batch_chunks where attempt_id = ${attemptId}`.execute(db);
  return rows[0]!;
}
