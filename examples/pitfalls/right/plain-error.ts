import { ApplicationFailure } from '@temporalio/common';

/** Fails the workflow. */
export async function throwApplicationFailure(): Promise<void> {
  throw ApplicationFailure.nonRetryable('unknown SKU', 'UnknownSku');
}
