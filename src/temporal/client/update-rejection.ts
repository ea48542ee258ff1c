import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';

/** Why a workflow rejected an update. `details` are the details of the failure. */
export interface UpdateRejection {
  type: string;
  message: string;
  details?: unknown[];
}

/** Returns the reason why a workflow rejected an update, or undefined for any other error. */
export function updateRejectionOf(error: unknown): UpdateRejection | undefined {
  if (!(error instanceof WorkflowUpdateFailedError)) return undefined;
  const { cause } = error;
  if (cause instanceof CancelledFailure) return { type: 'Cancelled', message: cause.message };
  return cause instanceof ApplicationFailure
    ? { type: cause.type ?? 'Rejected', message: cause.message, details: cause.details ?? [] }
    : { type: 'Rejected', message: cause?.message ?? error.message };
}

/**
 * Whether the server rejected an update that the workflow never received. This can happen to an update that arrives while
 * the worker completes a workflow task. The caller can send the update again.
 */
export const isUnprocessedUpdate = (error: unknown): boolean => updateRejectionOf(error)?.type === 'UnprocessedUpdate';
