import { z } from 'zod';
import { execution, retrying, waiting } from './shared/execution.js';
import { pageOf } from './shared/page.js';
import { reason } from './shared/reason.js';
import { businessId, queryInteger, text, time } from './shared/primitives.js';

/** The maximum number of items per chunk. A chunk is one row in the store and one activity. */
export const MAX_ITEMS_PER_CHUNK = 5_000;

export const batchId = businessId.meta({ description: 'The id of a batch.', examples: ['restock-1001'] });

export const itemsPerChunk = queryInteger(1, MAX_ITEMS_PER_CHUNK);

/** The input of the `batch` workflow. The items are in the store and never in a history. */
export const batchInput = z.strictObject({ batchId });

export const CSV_DELIMITERS = { comma: ',', semicolon: ';', tab: '\t' } as const;

/** Has no example, because no single delimiter fits both content types. */
const csvDelimiter = z.enum(['comma', 'semicolon', 'tab']).meta({
  description: 'The delimiter of the values of a CSV record. Defaults to comma.',
});

/** The query string of an upload. */
export const batchUploadQuery = z.strictObject({
  operation: text(32).meta({ description: 'The operation to run for each item.', examples: ['restock'] }),
  batchId: batchId
    .optional()
    .describe('A repeated upload with the same id and content returns the existing batch. Defaults to a new id.'),
  delimiter: csvDelimiter.optional(),
  itemsPerChunk: itemsPerChunk
    .optional()
    .describe('Maximum number of items per chunk. Defaults to the value of the operation.'),
});

/**
 * The status is also the search attribute `BatchStatus`. This attribute is never `staged` or `failed`. Lists read the
 * status from the store.
 */
export const batchStatus = z
  .enum(['staged', 'running', 'paused', 'completed', 'completed_with_failures', 'cancelled', 'failed'])
  .meta({
    id: 'BatchStatus',
    description:
      '`staged`: the items are stored and no execution has started. `failed`: the execution ended without a result, for example because it was terminated.',
  });

/** Whether the status can change without a request. */
export const isOpenBatch = (status: BatchStatus): boolean => ['staged', 'running', 'paused'].includes(status);

/**
 * The progress of a batch. The counts change after each chunk. For operations that call an external system, they can
 * lag by some hundred items.
 */
export const batchProgress = z.object({
  operation: z.string(),
  itemsPerChunk: z.int(),
  total: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  attempt: z.int().describe('0 before the batch runs, 1 for the first attempt, plus 1 for each retry.'),
  chunks: z.int().describe('Number of chunks of this attempt.'),
  itemsPerSecond: z.number().optional().describe('Finished items per second, measured over the last 10 seconds.'),
});

/** The result of the `batch` query and of the workflow. The counts are from the time `asOf`. */
export const batchView = batchProgress.extend({
  batchId: z.string(),
  status: batchStatus,
  asOf: time,
  secondsLeft: z.int().optional(),
});

export const batchResource = batchProgress
  .extend({
    batchId: z.string(),
    status: batchStatus,
    cancelRequested: z
      .literal(true)
      .optional()
      .describe('A cancellation was requested. The batch ends after the chunks that are running have ended.'),
    secondsLeft: z.int().optional(),
    startedAt: time.optional(),
    closedAt: time.optional(),
    itemsDeletedAt: time
      .optional()
      .describe('When the items were deleted after their retention. They can be neither listed nor retried.'),
    retrying: retrying.optional(),
    waiting: waiting.optional(),
    workflow: execution.optional(),
  })
  .meta({
    id: 'Batch',
    description:
      'A batch with its progress. The counts change after each chunk. For operations that call an external system, they can lag by some hundred items.',
  });

export const batchAccepted = z
  .object({ batchId: z.string(), status: batchStatus, total: z.int() })
  .meta({ id: 'BatchAccepted', description: 'The items are stored. The `location` header is the URL of the batch.' });

export const batchSummary = z
  .object({
    batchId: z.string(),
    status: batchStatus,
    operation: z.string(),
    total: z.int(),
    succeeded: z.int(),
    failed: z.int(),
    itemsPerSecond: z.number().optional(),
    asOf: time
      .optional()
      .describe(
        'When the batch last recorded its progress. Usually a few seconds ago, in a long run up to 4 % of its duration ago.',
      ),
    uploadedAt: time,
    startedAt: time.optional(),
    closedAt: time.optional(),
  })
  .meta({ id: 'BatchSummary', description: 'A batch in a list.' });

export const batchList = pageOf(batchSummary).meta({
  id: 'BatchList',
  description: 'A page of batches, newest upload first.',
});

export const batchFailure = z
  .object({
    line: z.int().describe('The 1-based line of the item in the upload.'),
    item: z.unknown().describe('The item as uploaded.'),
    reason,
  })
  .meta({ id: 'BatchFailure', description: 'An item that failed.' });

export const batchFailureList = pageOf(batchFailure).meta({
  id: 'BatchFailureList',
  description: 'A page of failed items, in the order of the upload.',
});

export type BatchInput = z.infer<typeof batchInput>;
export type BatchStatus = z.infer<typeof batchStatus>;
export type BatchProgress = z.infer<typeof batchProgress>;
export type BatchView = z.infer<typeof batchView>;
export type BatchResource = z.infer<typeof batchResource>;
export type BatchSummary = z.infer<typeof batchSummary>;
export type BatchFailure = z.infer<typeof batchFailure>;
