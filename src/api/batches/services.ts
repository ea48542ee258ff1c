import type { BatchResource } from '../../schemas/batch.js';
import type { AppDependencies } from '../dependencies.js';
import { createSharedReads } from '../http/live/shared-reads.js';
import { createProgressCache } from './progress-cache.js';
import { getBatch, type BatchDependencies } from './read.js';
import { createBatchUploader, type BatchUploader } from './upload/service.js';

/** Followers of a batch poll once a second, so each poll gets a new state. */
const SHARED_READ_MAX_AGE_MS = 900;

/** The state that all routes of batches in this process share. */
export interface BatchServices extends BatchDependencies {
  /** Returns a batch for a follower. All followers of a batch share one read a second. @throws 404. */
  followBatch: (batchId: string) => Promise<BatchResource>;
  uploadBatch: BatchUploader;
}

export function createBatchServices({
  client,
  store,
  ...deps
}: Pick<AppDependencies, 'client' | 'store' | 'batchOperations' | 'batchUploadLimits'>): BatchServices {
  const batchDeps = { client, store, cachedProgress: createProgressCache(store) };
  const sharedRead = createSharedReads(SHARED_READ_MAX_AGE_MS);
  return {
    ...batchDeps,
    followBatch: (batchId) => sharedRead(batchId, () => getBatch(batchDeps, batchId)),
    uploadBatch: createBatchUploader({ ...batchDeps, ...deps }),
  };
}
