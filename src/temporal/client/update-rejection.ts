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
