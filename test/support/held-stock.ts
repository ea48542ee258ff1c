import type { Store } from '../../src/store/index.js';

/** How long the shop assumes that the partners remember idempotency keys. */
export const KEY_RETENTION = { paymentsKeyRetentionHours: 24, carrierKeyRetentionHours: 24 };

/**
 * A store in which the stock of every order has been held since the given time, for tests of what happens after the
 * fence.
 */
export const heldSince = (placedAt: Date): Pick<Store, 'stockHeldSince'> => ({
  stockHeldSince: () => Promise.resolve(placedAt),
});

/** A store in which every order was placed a moment ago. */
export const heldStock: Pick<Store, 'stockHeldSince'> = { stockHeldSince: () => Promise.resolve(new Date()) };

/** The execution that owns the order. */
export const owner = 'first-run';
