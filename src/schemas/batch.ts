import { z } from 'zod';
import { execution } from './shared/execution.js';
import { pageOf } from './shared/page.js';
import { reason, retrying, waiting } from './shared/reason.js';
import { businessId, queryInteger, text, time } from './shared/primitives.js';

/** Maximum number of items per chunk. A chunk is one row in the store and one transaction. */
export const MAX_ITEMS_PER_CHUNK = 5_000;

export const batchId = businessId.meta({ description: 'The id of a batch.', examples: ['restock-1001'] });

export const itemsPerChunk = queryInteger(1, MAX_ITEMS_PER_CHUNK);

/** The input of the `batch` workflow. Its items are in the store and never in a history. */
export const batchInput = z.strictObject({ batchId });

export const CSV_DELIMITERS = { comma: ',', semicolon: ';', tab: '\t' } as const;

/** Without an example, because no delimiter fits the examples of both content types. */
const csvDelimiter = z.enum(['comma', 'semicolon', 'tab']).meta({
  description: 'What stands between the values of a CSV record; a comma by default.',
});

/** Query string of an upload. */
export const batchUploadQuery = z.strictObject({
  operation: text(32).meta({ description: 'What is done with each item.', examples: ['restock'] }),
  batchId: batchId.optional().describe('The same content under the same id is the same batch; a new id unless told.'),
  delimiter: csvDelimiter.optional(),
  itemsPerChunk: itemsPerChunk
    .optional()
    .describe("How many items one task has at most; the operation's own default unless told."),
});

/**
 * Also the search attribute `BatchStatus`, which is never `staged` or `failed`. Lists read the status from the store.
 */
export const batchStatus = z
  .enum(['staged', 'running', 'paused', 'completed', 'completed_with_failures', 'cancelled', 'failed'])
  .meta({
    id: 'BatchStatus',
    description:
      '`staged` has its items stored and no execution yet. `failed` is an execution that came to no end of its own: terminated by hand, or never opened.',
  });

/** Whether the status can still change without a caller. */
export const isOpenBatch = (status: BatchStatus): boolean => ['staged', 'running', 'paused'].includes(status);

/**
 * The progress of a batch. Exact per chunk; up to some hundred items behind for operations that call an external
 * system.
 */
export const batchProgress = z.object({
  operation: z.string(),
  itemsPerChunk: z.int(),
  total: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  attempt: z.int().describe('0 before it ran, 1 for the first run, one more for each retry.'),
  chunks: z.int().describe('Tasks of this round.'),
  itemsPerSecond: z.number().optional().describe('Items that were finished in each of the last seconds.'),
});

/** Returned by the `batch` query and as the workflow's result. The counts are as of `asOf`. */
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
    secondsLeft: z.int().optional(),
    startedAt: time.optional(),
    closedAt: time.optional(),
    retrying: retrying.optional(),
    waiting: waiting.optional(),
    workflow: execution.optional(),
  })
  .meta({
    id: 'Batch',
    description:
      'A batch and how far it has come: exact to the task, and to some hundred items where an operation calls outside.',
  });

export const batchAccepted = z
  .object({ batchId: z.string(), status: batchStatus, total: z.int() })
  .meta({ id: 'BatchAccepted', description: 'The items were stored; the `location` tells what becomes of them.' });

export const batchSummary = z
  .object({
    batchId: z.string(),
    status: batchStatus,
    operation: z.string(),
    total: z.int(),
    succeeded: z.int(),
    failed: z.int(),
    itemsPerSecond: z.number().optional(),
    asOf: time.optional().describe('When the batch counted its progress last; seconds ago, or 4 % of a long run.'),
    uploadedAt: time,
    startedAt: time.optional(),
    closedAt: time.optional(),
  })
  .meta({ id: 'BatchSummary', description: 'A batch in a list.' });

export const batchList = pageOf(batchSummary).meta({
  id: 'BatchList',
  description: 'A page of batches, the newest upload first.',
});

export const batchFailure = z
  .object({
    line: z.int().describe('The line of the upload that it came from, counted from one.'),
    item: z.unknown().describe('As it was uploaded.'),
    reason,
  })
  .meta({ id: 'BatchFailure', description: 'An item that did not succeed.' });

export const batchFailureList = pageOf(batchFailure).meta({
  id: 'BatchFailureList',
  description: 'A page of what did not succeed, in the order of the upload.',
});

export type BatchInput = z.infer<typeof batchInput>;
export type BatchStatus = z.infer<typeof batchStatus>;
export type BatchProgress = z.infer<typeof batchProgress>;
export type BatchView = z.infer<typeof batchView>;
export type BatchResource = z.infer<typeof batchResource>;
export type BatchSummary = z.infer<typeof batchSummary>;
export type BatchFailure = z.infer<typeof batchFailure>;
