import { ApplicationFailure } from '@temporalio/common';

/** Fails the workflow. */
export async function throwsAFailure(): Promise<void> {
  throw ApplicationFailure.nonRetryable('unknown SKU', 'UnknownSku');
}
