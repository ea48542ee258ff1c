import type { WorkflowExecutionDescription } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import type { Retrying } from '../schemas/reason.js';

/** The activities that are being retried just now, if there are any. Why they failed tells of the inside. */
export function retryingIn(
  { raw }: Pick<WorkflowExecutionDescription, 'raw'>,
  { withReasons = true } = {},
): { retrying?: Retrying } {
  const retrying = (raw.pendingActivities ?? [])
    .filter(({ attempt }) => (attempt ?? 1) > 1)
    .map(({ activityType, attempt, scheduledTime, lastFailure }) => ({
      step: activityType?.name ?? '',
      attempt: attempt ?? 1,
      ...(scheduledTime && { nextAttemptAt: new Date(tsToMs(scheduledTime)).toISOString() }),
      ...(withReasons && lastFailure?.message && { lastFailure: lastFailure.message }),
    }));
  return retrying.length ? { retrying } : {};
}

/** The execution behind a resource. */
export function workflowOf({ workflowId, runId }: Pick<WorkflowExecutionDescription, 'workflowId' | 'runId'>) {
  return { workflow: { workflowId, runId } };
}
