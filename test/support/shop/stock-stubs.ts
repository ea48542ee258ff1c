import type { Store } from '../../../src/store/index.js';

/** How long the shop assumes that the partners remember idempotency keys. */
export const KEY_RETENTION = { paymentsKeyRetentionHours: 24, carrierKeyRetentionHours: 24 };

/**
 * A store in which the stock of every order has been held since the given time, for tests of what happens after the
 * fence.
 */
export const stubStockHeldSince = (placedAt: Date): Pick<Store, 'recordStageIfStockHeld'> => ({
  recordStageIfStockHeld: () => Promise.resolve(placedAt),
});

/** A store in which every order was placed a moment ago. */
export const stubStockJustHeld: Pick<Store, 'recordStageIfStockHeld'> = {
  recordStageIfStockHeld: () => Promise.resolve(new Date()),
};

/** The execution that owns the order. */
export const OWNER_RUN_ID = 'first-run';
