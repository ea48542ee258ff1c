import type { BatchProgress } from '../../schemas/batch.js';
import type { Store } from '../../store/index.js';

/**
 * Maximum share of the time that is spent on counting a batch. Counting a million chunks takes a third of a second.
 */
const MAX_COUNTING_TIME_SHARE = 1 / 10;
const MAX_AGE_MS = 5_000;

/**
 * Caches the counts of running batches, so that all clients that follow a batch share one count. A count is cached for
 * ten times the time that counting took, at most five seconds.
 */
export function createProgressCache(
  store: Pick<Store, 'countBatchProgress'>,
): (batchId: string) => Promise<BatchProgress | undefined> {
  const cache = new Map<string, Promise<BatchProgress | undefined>>();
  return async (batchId) => {
    const cached = cache.get(batchId);
    if (cached) return await cached;
    const startedAt = performance.now();
    const counting = store.countBatchProgress(batchId);
    cache.set(batchId, counting);
    const evict = () => cache.delete(batchId);
    try {
      const progress = await counting;
      setTimeout(evict, Math.min((performance.now() - startedAt) / MAX_COUNTING_TIME_SHARE, MAX_AGE_MS)).unref();
      return progress;
    } catch (error) {
      evict();
      throw error;
    }
  };
}
