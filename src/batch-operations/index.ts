import type { Operation } from './operation.js';
import { priceUpdate } from './price-update.js';
import { restock } from './restock.js';

/** What a batch can do to each of its items. An operation that batches still use must stay. */
const all: readonly Operation[] = [priceUpdate, restock];

/** The operations by their names. */
export type Operations = ReadonlyMap<string, Operation>;

export const operations: Operations = new Map(all.map((operation) => [operation.name, operation]));
