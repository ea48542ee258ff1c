import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../shared/failures.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE_ERROR_TYPES];

/** Long enough to count a batch of any size or to divide its items into chunks again. Retries forever. */
const storeOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', nonRetryableErrorTypes },
} as const;

export const { openBatch } = proxyActivities<Activities>({ ...storeOptions, summary: 'Find the remaining items' });
export const { closeBatch } = proxyActivities<Activities>({ ...storeOptions, summary: 'Count and record the outcome' });

/**
 * Progress for the Web UI and the query. A failed poll is ignored; the next poll catches up. The priority puts polls
 * ahead of the chunks that wait in the same task queue.
 */
export const { countProgress } = proxyActivities<Activities>({
  summary: 'Count the progress',
  startToCloseTimeout: '5 seconds',
  retry: { maximumAttempts: 1 },
  priority: { priorityKey: 1 },
});

/**
 * After 15 attempts, with about ten minutes of backoff in total, the unfinished items of a chunk count as failed. They
 * can be retried later.
 */
const chunkOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    maximumAttempts: 15,
    nonRetryableErrorTypes,
  },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
} as const;

/** The activity of one chunk. The Web UI shows its 1-based number. */
export const chunkActivity = (chunkIndex: number) =>
  proxyActivities<Activities>({ ...chunkOptions, summary: `Chunk ${chunkIndex + 1}` }).processBatchChunk;

/** Retries forever, because without these counts the outcome of the batch is unknown. */
export const { giveUpBatchChunks } = proxyActivities<Activities>({
  summary: 'Count the unfinished items as failed',
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
});
