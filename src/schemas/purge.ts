import { z } from 'zod';

/** The workflow takes no input, so that an option that does not exist, such as a dry run, is an error. */
export const purgeInput = z.undefined();

/** What a run deleted. A run that was repeated after a failure reports what its last attempts deleted. */
export interface PurgeResult {
  /** The number of deleted idempotency keys with their responses. */
  idempotencyKeys: number;
  /** The number of deleted notifications of carts, and of events of the payment provider. */
  notifications: number;
  /** The number of batches whose items were deleted. */
  batches: number;
  /** The number of deleted uploads that were cut off. Missing in runs of earlier versions. */
  uploads?: number;
  /** The number of orders whose personal data was erased. Missing in runs of earlier versions. */
  orders?: number;
}
