import type { Operation } from './operation.js';
import { priceUpdate } from './price-update.js';
import { restock } from './restock.js';

/** The operations that batches can run. An operation must stay while batches use it. */
const allOperations: readonly Operation[] = [priceUpdate, restock];

/** The operations by name. */
export type Operations = ReadonlyMap<string, Operation>;

export const operations: Operations = new Map(allOperations.map((operation) => [operation.name, operation]));
