import type { Operation } from './operation.js';
import { priceUpdate } from './price-update.js';
import { restock } from './restock.js';

/** The operations that batches can run. Do not remove an operation while batches use it. */
const allOperations: readonly Operation[] = [priceUpdate, restock];

/** Maps operation names to operations. */
export type Operations = ReadonlyMap<string, Operation>;

export const operations: Operations = new Map(allOperations.map((operation) => [operation.name, operation]));
