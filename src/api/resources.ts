import type { WorkflowExecutionDescription } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import proto from '@temporalio/proto';
import type { Reason, Retrying, Waiting } from '../schemas/reason.js';

type Failure = proto.temporal.api.failure.v1.IFailure;

const { PENDING_ACTIVITY_STATE_SCHEDULED } = proto.temporal.api.enums.v1.PendingActivityState;

/** A task that is longer than this in its queue is told of: workers that are there take one within moments. */
const WAITING_AFTER_MS = 5_000;

/** What holds a workflow up just now: the activities that are being retried, and those that no worker takes. */
export function heldUpBy(
  description: Pick<WorkflowExecutionDescription, 'raw'>,
  options?: { withReasons?: boolean },
): { retrying?: Retrying; waiting?: Waiting } {
  return { ...retryingIn(description, options), ...waitingIn(description) };
}

/** Why an activity failed tells of the inside. */
function retryingIn(
  { raw }: Pick<WorkflowExecutionDescription, 'raw'>,
  { withReasons = true } = {},
): { retrying?: Retrying } {
  const retrying = (raw.pendingActivities ?? [])
    .filter(({ attempt }) => (attempt ?? 1) > 1)
    .map(({ activityType, attempt, scheduledTime, lastFailure }) => ({
      step: activityType?.name ?? '',
      attempt: attempt ?? 1,
      ...(scheduledTime && { nextAttemptAt: new Date(tsToMs(scheduledTime)).toISOString() }),
      ...(withReasons && lastFailure?.message && { lastFailure: reasonOf(lastFailure) }),
    }));
  return retrying.length ? { retrying } : {};
}

/** The type and the message of a failure, as a workflow would report them. */
function reasonOf({ message, applicationFailureInfo, timeoutFailureInfo }: Failure): Reason {
  const type = applicationFailureInfo?.type || (timeoutFailureInfo ? 'TimeoutFailure' : 'Failure');
  return { type, message: message ?? '' };
}

function waitingIn({ raw }: Pick<WorkflowExecutionDescription, 'raw'>): { waiting?: Waiting } {
  const waiting = (raw.pendingActivities ?? []).flatMap(({ activityType, state, scheduledTime, activityOptions }) => {
    const since = scheduledTime ? tsToMs(scheduledTime) : Date.now();
    // A retry is scheduled for the time when it is due.
    if (state !== PENDING_ACTIVITY_STATE_SCHEDULED || Date.now() - since < WAITING_AFTER_MS) return [];
    const taskQueue = activityOptions?.taskQueue?.name;
    return [{ step: activityType?.name ?? '', ...(taskQueue && { taskQueue }), since: new Date(since).toISOString() }];
  });
  return waiting.length ? { waiting } : {};
}

/** The execution behind a resource. */
export function workflowOf({ workflowId, runId }: Pick<WorkflowExecutionDescription, 'workflowId' | 'runId'>) {
  return { workflow: { workflowId, runId } };
}
