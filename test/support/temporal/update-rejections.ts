import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';

/**
 * Returns the failure type with which a workflow rejects an update.
 *
 * @throws when the workflow accepts the update, or when the update fails in another way.
 */
export async function rejectionTypeOf(update: Promise<unknown>): Promise<string | undefined | null> {
  try {
    await update;
  } catch (error) {
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
      return error.cause.type;
    throw error;
  }
  throw new Error('the workflow accepted the update');
}
