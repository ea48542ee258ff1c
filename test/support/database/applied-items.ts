import { expect } from 'vitest';
import { operations } from '../../../src/batch-operations/index.js';
import type { StoreOperation } from '../../../src/batch-operations/operation.js';
import type { OpenAttempt } from '../../../src/store/batches/attempts.js';
import type { StagedItem } from '../../../src/store/batches/staging.js';
import type { Store } from '../../../src/store/index.js';
import { stageTestBatch } from '../shop/batches.js';

/** Stores items as a new batch and opens its first attempt. */
export async function openBatch(
  store: Store,
  operation: string,
  items: unknown[],
  itemsPerChunk = Math.max(items.length, 1),
): Promise<OpenAttempt & { batchId: string }> {
  const batchId = await stageTestBatch(store, { operation, items, itemsPerChunk });
  return { batchId, ...(await store.openAttempt(batchId, 'run'))! };
}

/** Applies a chunk, as the batch activity does. */
export async function applyChunk(
  store: Store,
  { batchId, operation, batchNumber, attemptId }: OpenAttempt & { batchId: string },
  chunkIndex: number,
) {
  const { apply } = operations.get(operation) as StoreOperation;
  await store.applyChunk({ attemptId, chunkIndex }, (tx, items) =>
    apply(tx, items as StagedItem<Record<string, unknown>>[], { batchId, batchNumber }),
  );
}

/** Applies items as one chunk. @returns the failures, sorted by line. */
export async function applyItems(
  store: Store,
  operation: string,
  items: unknown[],
): Promise<[line: number, type: string, message: string][]> {
  const batch = await openBatch(store, operation, items);
  await applyChunk(store, batch, 0);
  const failures = await store.listBatchFailures(batch.batchId, { limit: 200 });
  expect(await store.countBatchProgress(batch.batchId)).toMatchObject({
    succeeded: items.length - failures.length,
    failed: failures.length,
  });
  return failures.map(({ line, reason: { type, message } }) => [line, type, message]);
}
