import { z } from 'zod';
import { reason, retrying } from './reason.js';
import { id, text } from './text.js';

/** Most items of one task. They are one row of the store and one transaction. */
export const MAX_ITEMS_PER_TASK = 5_000;

export const itemsPerTask = z.coerce.number().int().min(1).max(MAX_ITEMS_PER_TASK);

/** The input of the `batch` workflow. Its items are in the store already; no history ever holds them. */
export const batchInput = z.strictObject({ batchId: id });

/** Query string of an upload. Without `itemsPerTask`, the operation's own default. */
export const batchUpload = z.strictObject({
  operation: text(32),
  batchId: id.optional(),
  itemsPerTask: itemsPerTask.optional(),
});

/**
 * `staged` has its items in the store and no execution yet. `failed` is an execution that came to no end of its own:
 * terminated by hand, or never opened. Also the Search Attribute `BatchStatus`, which is never `staged` or `failed`.
 */
export const batchStatus = z.enum([
  'staged',
  'running',
  'paused',
  'completed',
  'completed_with_failures',
  'cancelled',
  'failed',
]);

/** Whether it may still change by itself. */
export const isOpenBatch = (status: BatchStatus): boolean => ['staged', 'running', 'paused'].includes(status);

/** How far a batch has come: exact to the task, and to some hundred items where an operation calls outside. */
export const batchTally = z.object({
  operation: z.string(),
  itemsPerTask: z.int(),
  total: z.int(),
  succeeded: z.int(),
  failed: z.int(),
  /** 0 before it ran, 1 for the first run, one more for each retry. */
  round: z.int(),
  /** Tasks of this round. */
  tasks: z.int(),
  /** Items that were finished in each of the last seconds. */
  itemsPerSecond: z.number().optional(),
});

/** What the workflow tells of a batch: by the `batch` query and as its result. The numbers are as of `asOf`. */
export const batchView = batchTally.extend({
  batchId: z.string(),
  status: batchStatus,
  asOf: z.iso.datetime(),
  secondsLeft: z.int().optional(),
});

/** A batch over HTTP. The numbers are read from the store just now; no worker is asked. */
export const batchResource = batchTally.extend({
  batchId: z.string(),
  status: batchStatus,
  secondsLeft: z.int().optional(),
  startedAt: z.iso.datetime().optional(),
  closedAt: z.iso.datetime().optional(),
  retrying: retrying.optional(),
  workflow: z.object({ workflowId: z.string(), runId: z.string() }).optional(),
});

/** A run of a batch in a list: what the server's visibility knows of it. A retry is a run of its own. */
export const batchSummary = z.object({
  batchId: z.string(),
  status: batchStatus,
  startedAt: z.iso.datetime(),
  closedAt: z.iso.datetime().optional(),
  workflow: z.object({ workflowId: z.string(), runId: z.string() }),
});

/** An item that did not succeed: the line of the upload that it came from, counted from one. */
export const batchFailure = z.object({ line: z.int(), item: z.unknown(), reason });

export type BatchInput = z.infer<typeof batchInput>;
export type BatchStatus = z.infer<typeof batchStatus>;
export type BatchTally = z.infer<typeof batchTally>;
export type BatchView = z.infer<typeof batchView>;
export type BatchResource = z.infer<typeof batchResource>;
export type BatchSummary = z.infer<typeof batchSummary>;
export type BatchFailure = z.infer<typeof batchFailure>;
