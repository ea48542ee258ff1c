import type { Transaction } from 'kysely';
import type { z } from 'zod';
import type { ItemFailure, StagedItem } from '../store/batches.js';
import type { Schema } from '../store/schema.js';

interface Described<S extends z.ZodObject> {
  /** As clients write it: a-z, 0-9 and -. It is stored with every batch, so it never changes. */
  name: string;
  /** An item as it is uploaded: a strict object. From CSV, each column is a field: `price.value` for one within another. */
  item: S;
  /** Default size of a task. */
  itemsPerTask: number;
}

/** The batch that a task belongs to. A batch that was uploaded later has a higher number. */
export interface BatchOfTask {
  batchId: string;
  number: number;
}

/**
 * An operation on our own store: the items of a task and the mark that they are done are one transaction, so that none
 * is ever applied twice. `apply` uses bulk SQL, locks rows in the order of their keys, and answers what it did not do.
 */
export interface StoreOperation<S extends z.ZodObject = z.ZodObject> extends Described<S> {
  kind: 'store';
  apply: (tx: Transaction<Schema>, items: StagedItem<z.infer<S>>[], batch: BatchOfTask) => Promise<ItemFailure[]>;
}

/**
 * An operation that calls an external system, item by item. The same item can be applied again, always with the same
 * idempotency key. A non-retryable `ApplicationFailure` fails the item; any other error is retried. `apply` must end soon
 * after `cancellation` aborts, and must have a time limit of its own.
 *
 * The key prevents a second effect only as long as the external system remembers it. A retry of the batch, or an attempt
 * after a long outage, can come days later. If the system forgets keys before that, `apply` must look the item up by a
 * reference that stays, as `chargePayment` does. No operation of the shop is of this kind.
 */
export interface OutsideOperation<S extends z.ZodObject = z.ZodObject> extends Described<S> {
  kind: 'outside';
  /** How many calls one task may have open. */
  callsAtOnce: number;
  apply: (item: z.infer<S>, call: { idempotencyKey: string; cancellation: AbortSignal }) => Promise<void>;
}

export type Operation = StoreOperation | OutsideOperation;

/** Gives an operation its types: `apply` gets items as the schema makes them. */
export const defineOperation = <S extends z.ZodObject>(operation: StoreOperation<S> | OutsideOperation<S>): Operation =>
  operation;
