import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../../failures/rejections.js';

const nonRetryableErrorTypes = NON_RETRYABLE_ERROR_TYPES;

/** Runs short activities ahead of the chunks that wait in the same task queue, also ahead of those of other batches. */
const BEFORE_CHUNKS = { priorityKey: 1 } as const;

/**
 * Options for activities that count the items of a batch or divide them into chunks again. The timeout is long enough
 * for a batch of any size. Retries forever.
 */
const storeOptions = {
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute', nonRetryableErrorTypes },
  priority: BEFORE_CHUNKS,
} as const;

export const { openBatch } = proxyActivities<Activities>({ ...storeOptions, summary: 'Find the remaining items' });
export const { closeBatch } = proxyActivities<Activities>({ ...storeOptions, summary: 'Count and record the outcome' });

/**
 * Counts the progress for the Web UI and the query. The workflow ignores a failed poll, because the next poll catches
 * up.
 */
export const { countProgress } = proxyActivities<Activities>({
  summary: 'Count the progress',
  startToCloseTimeout: '5 seconds',
  retry: { maximumAttempts: 1 },
  priority: BEFORE_CHUNKS,
});

/**
 * Options for the activity of a chunk. After 15 attempts of the activity, with about ten minutes of backoff in total, the unfinished
 * items of the chunk count as failed. A retry of the batch can process them later.
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

/** Returns the activities for one chunk. The Web UI shows the number of the chunk, starting at 1. */
export const chunkActivities = (chunkIndex: number) =>
  proxyActivities<Activities>({ ...chunkOptions, summary: `Chunk ${chunkIndex + 1}` });

/** Retries forever, because the outcome of the batch is unknown without these counts. */
export const { giveUpBatchChunks } = proxyActivities<Activities>({
  summary: 'Count the unfinished items as failed',
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '10 seconds',
  retry: { initialInterval: '1 second', maximumInterval: '1 minute' },
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  priority: BEFORE_CHUNKS,
});
