import type { Transaction } from 'kysely';
import type { z } from 'zod';
import type { ItemFailure } from '../store/batches/chunks.js';
import type { StagedItem } from '../store/batches/staging.js';
import type { Tables } from '../store/tables.js';

interface OperationBase<S extends z.ZodObject> {
  /**
   * The name of the operation in the API (characters a-z, 0-9 and -). Every batch stores the name, so it must not
   * change.
   */
  name: string;
  /**
   * The schema of an uploaded item, which is a strict object. In CSV, each column is a field, and the column
   * `price.value` is a nested field.
   */
  itemSchema: S;
  /** Default number of items per chunk. */
  itemsPerChunk: number;
}

/** The batch that a chunk belongs to. Later uploads have higher numbers. */
export interface BatchRef {
  batchId: string;
  batchNumber: number;
}

/**
 * An operation on our own store. Each call of `apply` gets some items of a chunk, in their order. One transaction applies
 * and records them, so that no item is applied twice. `apply` must use bulk SQL, lock rows in key order, and return the
 * items that failed. The transaction is rolled back if it waits too long for a lock, because orders may need its locks.
 */
export interface StoreOperation<S extends z.ZodObject = z.ZodObject> extends OperationBase<S> {
  kind: 'store';
  apply: (tx: Transaction<Tables>, items: StagedItem<z.infer<S>>[], batch: BatchRef) => Promise<ItemFailure[]>;
}

/**
 * An operation that calls an external system for each item. A retry can apply an item again, always with the same
 * idempotency key. A non-retryable `ApplicationFailure` fails the item; any other error is retried. `apply` must end
 * soon after `cancellation` aborts, and must set its own time limit.
 *
 * The key prevents a second effect only as long as the external system keeps the key. A retry of the batch, or an
 * attempt after a long outage, can follow days later. If the system discards keys earlier, `apply` must first look up
 * the item by a permanent reference, as `chargePayment` does. The shop has no operation of this kind yet.
 */
export interface ExternalOperation<S extends z.ZodObject = z.ZodObject> extends OperationBase<S> {
  kind: 'external';
  /** Maximum number of concurrent calls per chunk. */
  concurrentCalls: number;
  apply: (item: z.infer<S>, call: { idempotencyKey: string; cancellation: AbortSignal }) => Promise<void>;
}

export type Operation = StoreOperation | ExternalOperation;

/** Defines an operation. `apply` gets items of the type that the schema parses. */
export const defineOperation = <S extends z.ZodObject>(
  operation: StoreOperation<S> | ExternalOperation<S>,
): Operation => operation;
