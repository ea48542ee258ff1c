import { ApplicationFailure } from '@temporalio/common';
import type { ExternalOperation } from '../batch-operations/operation.js';
import type { Operations } from '../batch-operations/index.js';
import { rejectionFailure } from '../failures/rejections.js';
import { truncateText } from '../text/well-formed-text.js';
import { batchInput, type BatchStatus, type BatchProgress } from '../schemas/batch.js';
import type { Reason } from '../schemas/shared/reason.js';
import { BatchItemsDeletedError, RunSupersededError, type OpenAttempt } from '../store/batches/attempts.js';
import type { ItemFailure, ChunkKey } from '../store/batches/chunks.js';
import type { StagedItem } from '../store/batches/staging.js';
import type { Store } from '../store/index.js';
import { batchWorkflowId } from '../workflows/batch/contract.js';
import { runConcurrently } from '../async/concurrency.js';
import { assertWorkflowId, parseInput } from './failures.js';
import { withHeartbeat } from './external/heartbeat.js';

/** A chunk of an external operation records its progress after this number of items. */
const PROGRESS_INTERVAL_ITEMS = 100;

/**
 * Maximum lengths of the failure reason of an item, in UTF-16 code units. One row stores the reasons of all items of a
 * chunk.
 */
const MAX_REASON_TYPE_LENGTH = 100;
const MAX_REASON_MESSAGE_LENGTH = 500;

/** A chunk, and the data of its batch that the activity needs. */
export interface BatchChunk extends ChunkKey {
  batchId: string;
  batchNumber: number;
  operation: string;
}

/** Identifies an execution of a batch. */
export interface BatchRun {
  workflowId: string;
  /** The first run id of the execution. A reset keeps it. */
  firstRunId: string;
  startedAt: string;
}

/** The attempt that an execution works on, and the progress of the batch. */
export interface OpenedBatch extends OpenAttempt {
  progress: BatchProgress;
}

/** The status of a batch, which is recorded together with its progress. */
export interface ProgressReport {
  batchId: string;
  attemptId: number;
  status: BatchStatus;
  /** When the workflow determined this status. */
  at: string;
}

export function createBatchActivities({ store, operations }: { store: Store; operations: Operations }) {
  function operationOf(name: string) {
    const operation = operations.get(name);
    if (operation) return operation;
    // Retryable, because a worker with this operation may be deployed soon.
    throw ApplicationFailure.create({ type: 'UnknownOperation', message: `this worker has no operation ${name}` });
  }

  return {
    /**
     * Validates the input of a batch and opens an attempt. The workflow id must match the batch id, so a batch has at
     * most one open execution.
     *
     * @returns the attempt and the progress of the batch.
     * @throws `InvalidInput`; `BatchNotFound` when nothing was uploaded under this id; `BatchItemsDeleted` after
     * the retention of the items; `Superseded` when a later execution has opened the batch.
     */
    async openBatch(input: unknown, { workflowId, firstRunId, startedAt }: BatchRun): Promise<OpenedBatch> {
      const { batchId } = parseInput(batchInput, input);
      assertWorkflowId('/batchId', batchWorkflowId(batchId), workflowId);
      return await withHeartbeat(async () => {
        const attempt = await store.openAttempt(batchId, firstRunId, new Date(startedAt)).catch((error: unknown) => {
          if (error instanceof RunSupersededError) {
            throw rejectionFailure('Superseded', `a later run processes batch ${batchId}`);
          }
          if (error instanceof BatchItemsDeletedError) {
            throw rejectionFailure(
              'BatchItemsDeleted',
              `the items of batch ${batchId} were deleted after their retention`,
            );
          }
          throw error;
        });
        if (!attempt) throw batchNotFound(batchId);
        return { ...attempt, progress: await countProgress(batchId) };
      });
    },

    /** Processes each item of a chunk once. Skips a chunk that is already done or given up. */
    async processBatchChunk({ operation: name, batchId, batchNumber, ...key }: BatchChunk): Promise<void> {
      const operation = operationOf(name);
      if (operation.kind === 'external') return await processExternalChunk(operation, batchId, key);
      await withHeartbeat((cancellation) =>
        store.applyChunk(
          key,
          (tx, items) => operation.apply(tx, asTypedItems(items), { batchId, batchNumber }),
          cancellation,
        ),
      );
    },

    /** Gives up a range of chunks: their unfinished items count as failed. */
    async giveUpBatchChunks({ attemptId, first, count, reason }: GiveUpChunksInput): Promise<void> {
      await withHeartbeat(() => store.giveUpChunks(attemptId, { first, count }, reason));
    },

    /** Counts the progress of a batch and stores the counts for lists. @throws `BatchNotFound`. */
    async countProgress(report: ProgressReport): Promise<BatchProgress> {
      return await withHeartbeat(() => record(report, false));
    },

    /**
     * Counts the final progress and records the batch as closed. If items failed, the status `completed` becomes
     * `completed_with_failures`.
     *
     * @throws `BatchNotFound`.
     */
    async closeBatch(report: ProgressReport): Promise<BatchProgress> {
      return await withHeartbeat(() => record(report, true));
    },
  };

  async function record({ batchId, at, ...report }: ProgressReport, isFinal: boolean): Promise<BatchProgress> {
    const progress = await store.recordBatchProgress(batchId, { ...report, at: new Date(at), isFinal });
    if (!progress) throw batchNotFound(batchId);
    return progress;
  }

  async function countProgress(batchId: string): Promise<BatchProgress> {
    const progress = await store.countBatchProgress(batchId);
    if (!progress) throw batchNotFound(batchId);
    return progress;
  }

  /**
   * Calls the external system for every unfinished item. After a failure, the next attempt starts at the recorded
   * position and repeats the later calls with the same idempotency keys.
   */
  async function processExternalChunk(operation: ExternalOperation, batchId: string, key: ChunkKey): Promise<void> {
    const chunk = await store.readChunk(key);
    if (!chunk) return;
    const { items, failures } = chunk;
    let { processedCount } = chunk;
    await withHeartbeat(
      async (cancellation) => {
        while (processedCount < items.length) {
          const nextItems = items.slice(processedCount, processedCount + PROGRESS_INTERVAL_ITEMS);
          const failed = await applyToEachItem(operation, { batchId, items: nextItems, cancellation });
          failures.push(...failed.map(({ index, reason }) => ({ index: processedCount + index, reason })));
          processedCount += nextItems.length;
          const isDone = processedCount === items.length;
          if (!(await store.recordChunkProgress(key, { processedCount, failures, isDone }))) return;
        }
      },
      () => ({ processedCount }),
    );
  }
}

const batchNotFound = (batchId: string) => rejectionFailure('BatchNotFound', `batch ${batchId} was not uploaded`);

interface GiveUpChunksInput {
  attemptId: number;
  first: number;
  count: number;
  reason: Reason;
}

/** The operation's schema validated the items at upload. */
const asTypedItems = (items: StagedItem[]) => items as StagedItem<Record<string, unknown>>[];

/**
 * Calls the operation for each item, with limited concurrency.
 *
 * @throws the first retryable error, after all running calls have ended.
 */
async function applyToEachItem(
  operation: ExternalOperation,
  { batchId, items, cancellation }: { batchId: string; items: StagedItem[]; cancellation: AbortSignal },
): Promise<ItemFailure[]> {
  const failures: ItemFailure[] = [];
  const typedItems = asTypedItems(items);
  await runConcurrently(items.length, operation.concurrentCalls, async (index) => {
    const { line, item } = typedItems[index]!;
    try {
      cancellation.throwIfAborted();
      await operation.apply(item, { idempotencyKey: `${batchWorkflowId(batchId)}:${line}`, cancellation });
    } catch (error) {
      const reason = nonRetryableReason(error);
      if (!reason) throw error;
      failures.push({ index, reason });
    }
  });
  return failures.sort((a, b) => a.index - b.index);
}

/** Returns the failure reason of an item, or undefined when a retry could succeed. */
function nonRetryableReason(error: unknown): Reason | undefined {
  if (!(error instanceof ApplicationFailure && error.nonRetryable)) return undefined;
  return {
    type: truncateText(error.type ?? 'Rejected', MAX_REASON_TYPE_LENGTH),
    message: truncateText(error.message, MAX_REASON_MESSAGE_LENGTH),
  };
}
