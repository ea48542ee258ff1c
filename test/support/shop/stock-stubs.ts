import type { Store } from '../../../src/store/index.js';

/**
 * A store in which the stock of every order has been held since the given time, for tests in which the idempotency keys
 * may have expired.
 */
export const stubStockHeldSince = (placedAt: Date): Pick<Store, 'recordStageIfStockHeld'> => ({
  recordStageIfStockHeld: () => Promise.resolve(placedAt),
});

/** A store in which the stock of every order has just been held. */
export const stubStockJustHeld: Pick<Store, 'recordStageIfStockHeld'> = {
  recordStageIfStockHeld: () => Promise.resolve(new Date()),
};

/** The run id of the execution that owns the order. */
export const OWNER_RUN_ID = 'first-run';
