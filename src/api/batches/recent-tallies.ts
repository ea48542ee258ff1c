import type { BatchTally } from '../../schemas/batch.js';
import type { Store } from '../../store/index.js';

/** Counting a million tasks takes a third of a second, so it is done no more than this share of the time. */
const SHARE = 1 / 10;
const MAX_AGE_MS = 5_000;

/**
 * The counts of batches that are running, for all who follow one. They are as old as counting them is dear: ten times as
 * long as it took, up to five seconds.
 */
export function createRecentTallies(
  store: Pick<Store, 'tallyBatch'>,
): (batchId: string) => Promise<BatchTally | undefined> {
  const counted = new Map<string, Promise<BatchTally | undefined>>();
  return async (batchId) => {
    const known = counted.get(batchId);
    if (known) return await known;
    const started = performance.now();
    const counting = store.tallyBatch(batchId);
    counted.set(batchId, counting);
    const forget = () => counted.delete(batchId);
    try {
      const tally = await counting;
      setTimeout(forget, Math.min((performance.now() - started) / SHARE, MAX_AGE_MS)).unref();
      return tally;
    } catch (error) {
      forget();
      throw error;
    }
  };
}
