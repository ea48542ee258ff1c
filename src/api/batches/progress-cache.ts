import type { BatchProgress } from '../../schemas/batch.js';
import type { Store } from '../../store/index.js';

/** Counting takes at most this share of the time, because counting a million chunks takes a third of a second. */
const MAX_COUNTING_TIME_SHARE = 1 / 10;
const MAX_AGE_MS = 5_000;

/**
 * Caches the counts of running batches for all clients that follow one. Counts are kept ten times as long as it took to
 * count, at most five seconds.
 */
export function createProgressCache(
  store: Pick<Store, 'countBatchProgress'>,
): (batchId: string) => Promise<BatchProgress | undefined> {
  const counted = new Map<string, Promise<BatchProgress | undefined>>();
  return async (batchId) => {
    const known = counted.get(batchId);
    if (known) return await known;
    const started = performance.now();
    const counting = store.countBatchProgress(batchId);
    counted.set(batchId, counting);
    const forget = () => counted.delete(batchId);
    try {
      const tally = await counting;
      setTimeout(forget, Math.min((performance.now() - started) / MAX_COUNTING_TIME_SHARE, MAX_AGE_MS)).unref();
      return tally;
    } catch (error) {
      forget();
      throw error;
    }
  };
}
