import { status } from '@grpc/grpc-js';
import { ActivityNotFoundError, type ActivityExecutionDescription, type Client } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { NativeConnection } from '@temporalio/worker';
import type { Retrying, Waiting } from '../../schemas/shared/execution.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { grpcErrorIn, isUnsupportedCall } from '../grpc-errors.js';
import { withServerDeadline } from './deadlines.js';
import { pendingActivityFields } from './pending-activities.js';

/** The most runs that one call deletes. More are unlikely: only a reset after a failed report starts another run. */
const MAX_ACTIVITY_RUNS = 100;

/** Whether the server offers standalone activities in this namespace. */
export async function offersStandaloneActivities(connection: NativeConnection, namespace: string): Promise<boolean> {
  const { namespaceInfo } = await connection.workflowService.describeNamespace({ namespace });
  return namespaceInfo?.capabilities?.standaloneActivities ?? false;
}

/** The state of a standalone activity. A failed activity is closed: it is not retried. */
export type StandaloneActivityState =
  | { status: 'running'; retrying?: Retrying; waiting?: Waiting }
  | { status: 'completed' }
  | { status: 'failed'; reason: Reason };

/**
 * Reads the state of the newest run of a standalone activity. Returns undefined when the server does not keep the
 * activity, or `unsupported` when it offers no standalone activities.
 */
export async function readStandaloneActivity(
  client: Client,
  activityId: string,
): Promise<StandaloneActivityState | 'unsupported' | undefined> {
  try {
    const description = await withServerDeadline(client, () =>
      client.activity.getHandle(activityId).describe({ includeOutcome: true, includeLastFailure: true }),
    );
    return await toState(description);
  } catch (error) {
    if (error instanceof ActivityNotFoundError) return undefined;
    if (isUnsupportedCall(error)) return 'unsupported';
    throw error;
  }
}

/**
 * Deletes all closed runs of a standalone activity. Does nothing when the server does not keep the activity, or offers
 * no standalone activities.
 */
export async function deleteClosedActivity(client: Client, activityId: string): Promise<void> {
  const { workflowService, options } = client;
  const { namespace } = options;
  try {
    const query = `ActivityId = '${activityId}' and ExecutionStatus != 'Running'`;
    const { executions } = await withServerDeadline(client, () =>
      workflowService.listActivityExecutions({ namespace, query, pageSize: MAX_ACTIVITY_RUNS }),
    );
    for (const { runId } of executions ?? []) {
      await withServerDeadline(client, () =>
        workflowService.deleteActivityExecution({ namespace, activityId, runId: runId ?? '' }),
      );
    }
  } catch (error) {
    if (!isUnsupportedCall(error) && grpcErrorIn(error)?.code !== status.NOT_FOUND) throw error;
  }
}

async function toState(description: ActivityExecutionDescription): Promise<StandaloneActivityState> {
  switch (description.status) {
    case 'COMPLETED':
      return { status: 'completed' };
    case 'FAILED':
    case 'CANCELED':
    case 'TERMINATED':
    case 'TIMED_OUT':
      return { status: 'failed', reason: toReason(await description.getOutcomeFailure()) };
    case 'RUNNING':
    case 'PAUSED':
      return { status: 'running', ...(await pendingFieldsOf(description)) };
  }
}

/** Returns what delays the activity, in the same fields as for a pending activity of a workflow. */
async function pendingFieldsOf(description: ActivityExecutionDescription) {
  const { runState, nextAttemptScheduleTime, scheduleTime, lastFailure } = description.rawInfo;
  const error = lastFailure && (await description.getLastFailure());
  const activity = {
    activityType: { name: description.activityType },
    attempt: description.attempt,
    state: runState ?? null,
    paused: description.status === 'PAUSED',
    scheduledTime: nextAttemptScheduleTime ?? scheduleTime ?? null,
    activityOptions: { taskQueue: { name: description.taskQueue } },
    // Decoded, so that the message is readable even if failures are encrypted.
    ...(error && { lastFailure: { ...lastFailure, message: error.message } }),
  };
  return pendingActivityFields({ raw: { pendingActivities: [activity] } });
}

function toReason(error: Error | undefined): Reason {
  if (!error) return { type: 'Failure', message: '' };
  const type = error instanceof ApplicationFailure && error.type ? error.type : error.name;
  return { type, message: error.message };
}
