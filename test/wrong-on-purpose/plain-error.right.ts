import { ApplicationFailure } from '@temporalio/common';

/** Fails. */
export async function throwsAFailure(): Promise<void> {
  throw ApplicationFailure.nonRetryable('unknown SKU', 'UnknownSku');
}
