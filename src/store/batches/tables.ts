import type { Generated, GeneratedAlways, JSONColumnType } from 'kysely';
import type { BatchStatus } from '../../schemas/batch.js';
import type { Reason } from '../../schemas/shared/reason.js';

export interface BatchesTable {
  batch_id: string;
  /** Later batches have higher numbers. */
  number: GeneratedAlways<number>;
  operation: string;
  items_per_chunk: number;
  total: number;
  content_hash: string;
  created_at: Generated<Date>;
  /** The status that lists show, as of `progress_at`. Does not change when the Temporal server ends the execution. */
  status: Generated<BatchStatus>;
  succeeded: Generated<number>;
  failed: Generated<number>;
  items_per_second: number | null;
  progress_at: Date | null;
  started_at: Date | null;
  closed_at: Date | null;
  /** When the retention of the items ended. From then on, the items can be neither listed nor retried. */
  items_expired_at: Date | null;
  /** When the items of all chunks had been deleted. */
  items_deleted_at: Date | null;
}

/** One attempt of a batch: the first attempt, or a retry of failed items. */
export interface BatchAttemptsTable {
  attempt_id: Generated<number>;
  batch_id: string;
  attempt: number;
  chunk_count: number;
  /** Number of items that succeeded in earlier attempts. */
  succeeded_before: number;
  /** The first run id of the execution that works on the attempt. Null until an execution opens the attempt. */
  first_run_id: string | null;
  opened_at: Date | null;
}

/** One chunk of items and its outcome. */
export interface BatchChunksTable {
  attempt_id: number;
  /** The index of the chunk in its attempt, starting at 0. */
  chunk_index: number;
  /** The items of the chunk. Each item has its line number in the upload. Empty after the retention of the items. */
  items: JSONColumnType<[line: number, item: unknown][]>;
  item_count: number;
  /** Null until the chunk ends. `given_up` means that the unfinished items count as failed. */
  outcome: 'done' | 'given_up' | null;
  /** Number of processed items. 0 for a chunk that a worker from before migration 0015 completed in one transaction. */
  processed_count: Generated<number>;
  succeeded: Generated<number>;
  failed: Generated<number>;
  /** The failed items. `index` is the position in `items`. */
  failures: JSONColumnType<StoredFailure[], string | undefined, string> | null;
  /** Why the chunk was given up. */
  reason: JSONColumnType<Reason, string | undefined, string> | null;
  changed_at: Date | null;
}

/** An upload whose items are in `batch_chunks`, but not part of a batch yet. The publication deletes the row. */
export interface BatchUploadsTable {
  /** The attempt that the items become part of. `batch_attempts` has this attempt only after the publication. */
  attempt_id: number;
  batch_id: string;
  items_per_chunk: number;
  started_at: Generated<Date>;
  last_part_at: Generated<Date>;
  /** From this time on, the upload can neither store a part nor be published, and its items are deleted. */
  abandoned_at: Date | null;
}

export type StoredFailure = [index: number, type: string, message: string];
