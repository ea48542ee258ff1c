import type { Kysely, Transaction } from 'kysely';
import { runLongTransaction } from '../postgres/transactions.js';
import type { Tables } from '../tables.js';
import { countItems, findLastAttempt, type AttemptRow } from './attempt-queries.js';
import { giveUpUnfinishedChunks } from './chunks.js';
import { copyFailedItems } from './failed-items.js';

/** The attempt that one execution of a batch works on. */
export interface OpenAttempt {
  operation: string;
  /** Number of the batch. Later batches have higher numbers. */
  batchNumber: number;
  attemptId: number;
  /** 1 for the first attempt of the batch, 2 for the first retry. */
  attempt: number;
  chunks: number;
}

/** Thrown when a later execution has opened the batch. */
export class RunSupersededError extends Error {}

/** Thrown when the items of the batch were deleted after their retention. */
export class BatchItemsDeletedError extends Error {}

export function createBatchAttemptStore(db: Kysely<Tables>) {
  return {
    /**
     * Opens an attempt for an execution of a batch. The first attempt has all items. A later attempt has the items that
     * failed or never ran. Repeated calls of the same execution return the same attempt, even after a reset. Gives up
     * the unfinished chunks of an earlier execution; late writes to these chunks have no effect. Records that the batch
     * is running.
     *
     * @param firstRunId the first run id of the execution, which a reset keeps.
     * @returns undefined when the batch does not exist. `chunks` is 0 when no item is left.
     * @throws RunSupersededError when a later execution has already opened the batch.
     * @throws BatchItemsDeletedError when the retention of the items has ended.
     */
    async openAttempt(batchId: string, firstRunId: string, startedAt = new Date()): Promise<OpenAttempt | undefined> {
      return await runLongTransaction(db, async (tx) => {
        const batch = await tx
          .selectFrom('batches')
          .select(['operation', 'number', 'items_per_chunk', 'items_expired_at'])
          .where('batch_id', '=', batchId)
          .forUpdate()
          .executeTakeFirst();
        if (!batch) return undefined;
        if (batch.items_expired_at) throw new BatchItemsDeletedError();
        const toOpenAttempt = (row: Pick<AttemptRow, 'attempt_id' | 'attempt' | 'chunk_count'>): OpenAttempt => ({
          operation: batch.operation,
          batchNumber: batch.number,
          attemptId: row.attempt_id,
          attempt: row.attempt,
          chunks: row.chunk_count,
        });
        const last = await findLastAttempt(tx, batchId);
        const own = await findAttemptOfExecution(tx, batchId, firstRunId);
        if (own) {
          if (own.attempt_id === last.attempt_id) await recordRunning(tx, batchId, startedAt);
          return toOpenAttempt(own);
        }
        if (last.opened_at && startedAt < last.opened_at) throw new RunSupersededError();
        await recordRunning(tx, batchId, startedAt);
        const opened = { first_run_id: firstRunId, opened_at: startedAt };
        if (last.first_run_id === null) {
          await tx.updateTable('batch_attempts').set(opened).where('attempt_id', '=', last.attempt_id).execute();
          return toOpenAttempt(last);
        }
        await giveUpUnfinishedChunks(tx, {
          attemptId: last.attempt_id,
          reason: { type: 'RunEnded', message: `run ${last.first_run_id} ended before it processed this chunk` },
        });
        const { succeeded, failed } = await countItems(tx, last.attempt_id);
        if (failed === 0) return toOpenAttempt({ ...last, chunk_count: 0 });
        const next = await tx
          .insertInto('batch_attempts')
          .values({
            batch_id: batchId,
            attempt: last.attempt + 1,
            ...opened,
            chunk_count: Math.ceil(failed / batch.items_per_chunk),
            succeeded_before: last.succeeded_before + succeeded,
          })
          .returning(['attempt_id', 'attempt', 'chunk_count'])
          .executeTakeFirstOrThrow();
        await copyFailedItems(tx, {
          fromAttemptId: last.attempt_id,
          toAttemptId: next.attempt_id,
          itemsPerChunk: batch.items_per_chunk,
        });
        return toOpenAttempt(next);
      });
    },
  };
}

async function findAttemptOfExecution(tx: Transaction<Tables>, batchId: string, firstRunId: string) {
  return await tx
    .selectFrom('batch_attempts')
    .select(['attempt_id', 'attempt', 'chunk_count'])
    .where('batch_id', '=', batchId)
    .where('first_run_id', '=', firstRunId)
    .executeTakeFirst();
}

async function recordRunning(tx: Transaction<Tables>, batchId: string, startedAt: Date): Promise<void> {
  await tx
    .updateTable('batches')
    .set({ status: 'running', started_at: startedAt, closed_at: null })
    .where('batch_id', '=', batchId)
    .execute();
}
