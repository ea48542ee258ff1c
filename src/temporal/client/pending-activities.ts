import type { WorkflowExecutionDescription } from '@temporalio/client';
import { tsToMs } from '../sdk/time.js';
import proto from '@temporalio/proto';
import type { Reason } from '../../schemas/shared/reason.js';
import type { Retrying, Waiting } from '../../schemas/shared/execution.js';

type Failure = proto.temporal.api.failure.v1.IFailure;

const { PENDING_ACTIVITY_STATE_SCHEDULED, PENDING_ACTIVITY_STATE_PAUSED } =
  proto.temporal.api.enums.v1.PendingActivityState;

type PendingActivity = proto.temporal.api.workflow.v1.IPendingActivityInfo;

/** The part of a workflow description that lists its pending activities. */
interface PendingActivities {
  raw: { pendingActivities?: PendingActivity[] | null };
}

/**
 * An activity that waits longer than this in its task queue is reported. An available worker takes a task within
 * moments.
 */
const WAITING_THRESHOLD_MS = 5_000;

/** Returns what delays a workflow: activities that are being retried, and activities that wait for a worker. */
export function pendingActivityFields(description: PendingActivities): {
  retrying?: Retrying;
  waiting?: Waiting;
} {
  return { ...retryingActivities(description), ...waitingActivities(description) };
}

function retryingActivities({ raw }: PendingActivities): { retrying?: Retrying } {
  const retrying = (raw.pendingActivities ?? [])
    .filter(({ attempt }) => (attempt ?? 1) > 1)
    .map((activity) => {
      const { activityType, attempt, scheduledTime, lastFailure, paused } = activity;
      return {
        step: activityType?.name ?? '',
        attempt: attempt ?? 1,
        ...(scheduledTime && !paused && { nextAttemptAt: new Date(tsToMs(scheduledTime)).toISOString() }),
        ...pausedAtField(activity),
        ...(lastFailure?.message && { lastFailure: reasonOf(lastFailure) }),
      };
    });
  return retrying.length ? { retrying } : {};
}

/** Returns the type and the message of a failure in the form that workflows report. */
function reasonOf({ message, applicationFailureInfo, timeoutFailureInfo }: Failure): Reason {
  const type = applicationFailureInfo?.type || (timeoutFailureInfo ? 'TimeoutFailure' : 'Failure');
  return { type, message: message ?? '' };
}

function pausedAtField({ paused, pauseInfo }: Pick<PendingActivity, 'paused' | 'pauseInfo'>): { pausedAt?: string } {
  const at = pauseInfo?.pauseTime;
  return paused && at ? { pausedAt: new Date(tsToMs(at)).toISOString() } : {};
}

function waitingActivities({ raw }: PendingActivities): { waiting?: Waiting } {
  const waiting = (raw.pendingActivities ?? []).flatMap((activity) => {
    const { activityType, state, scheduledTime, activityOptions, attempt } = activity;
    const since = scheduledTime ? tsToMs(scheduledTime) : Date.now();
    // For a retry, the scheduled time is the time when the retry is due.
    const isOverdue = state === PENDING_ACTIVITY_STATE_SCHEDULED && Date.now() - since >= WAITING_THRESHOLD_MS;
    // A paused retry is already in `retrying`.
    const isPaused = state === PENDING_ACTIVITY_STATE_PAUSED && (attempt ?? 1) === 1;
    if (!isOverdue && !isPaused) return [];
    const taskQueue = activityOptions?.taskQueue?.name;
    return [
      {
        step: activityType?.name ?? '',
        ...(taskQueue && { taskQueue }),
        since: new Date(since).toISOString(),
        ...pausedAtField(activity),
      },
    ];
  });
  return waiting.length ? { waiting } : {};
}

/** Returns the field that identifies the workflow execution of a resource. */
export function workflowField({ workflowId, runId }: Pick<WorkflowExecutionDescription, 'workflowId' | 'runId'>) {
  return { workflow: { workflowId, runId } };
}
