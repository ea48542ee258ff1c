import type { Store } from '../../src/store/index.js';

/** A store in which the stock of every order is reserved, for tests of what comes after the fence. */
export const heldStock: Pick<Store, 'holdsStock'> = { holdsStock: () => Promise.resolve(true) };

/** The execution that such an order belongs to. */
export const owner = 'first-run';
