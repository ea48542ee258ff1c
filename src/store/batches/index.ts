import type { Kysely } from 'kysely';
import type pg from 'pg';
import type { Tables } from '../tables.js';
import { createBatchAttemptStore } from './attempts.js';
import { createBatchChunkStore } from './chunks.js';
import { createFailedItemStore } from './failed-items.js';
import { createBatchProgressStore } from './progress.js';
import { createBatchRetentionStore } from './retention.js';
import { createBatchStagingStore } from './staging.js';

/**
 * Stores batches in three tables. A batch (`batches`) has one or more attempts (`batch_attempts`): each retry of its
 * failed items adds an attempt. An attempt has chunks (`batch_chunks`), which contain the items and their outcomes.
 */
export function createBatchStore(db: Kysely<Tables>, pool: pg.Pool) {
  return {
    ...createBatchStagingStore(db, pool),
    ...createBatchAttemptStore(db),
    ...createBatchChunkStore(db),
    ...createFailedItemStore(db),
    ...createBatchProgressStore(db),
    ...createBatchRetentionStore(db),
  };
}
