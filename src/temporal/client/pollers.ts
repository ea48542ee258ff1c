import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import { waitForAll } from '../../async/promises.js';
import { APPROVAL_TASK_QUEUE } from '../../workflows/approval/contract.js';
import { hasWorkflows, TASK_QUEUES } from '../task-queues.js';
import type { ShopClients } from './approval-clients.js';
import { withServerDeadline } from './deadlines.js';

/**
 * A worker polls all the time, and one poll lasts up to about a minute. A worker whose last poll is older has stopped.
 */
const POLLER_SEEN_WITHIN_MS = 70_000;

const { TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY } = proto.temporal.api.enums.v1.TaskQueueType;
const { VERSIONING_BEHAVIOR_PINNED } = proto.temporal.api.enums.v1.VersioningBehavior;

const TASK_QUEUE_TYPES = { workflow: TASK_QUEUE_TYPE_WORKFLOW, activity: TASK_QUEUE_TYPE_ACTIVITY };

/** A worker deployment version as Temporal represents it. */
interface WorkerVersion {
  deploymentName?: string | null;
  buildId?: string | null;
}

interface PollerFilter {
  /** The kind of tasks. Default: `workflow`. */
  kind?: keyof typeof TASK_QUEUE_TYPES;
  /**
   * Counts only workers of this version. Default: the current version if there is one, because new executions start on
   * it.
   */
  version?: WorkerVersion | undefined;
}

/** Whether a worker polled the task queue within the last 70 seconds. */
export async function hasPoller(
  client: Client,
  taskQueue: string,
  { kind = 'workflow', version }: PollerFilter = {},
): Promise<boolean> {
  const { pollers, versioningInfo } = await withServerDeadline(client, () =>
    client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: TASK_QUEUE_TYPES[kind],
    }),
  );
  const required = version ?? versioningInfo?.currentDeploymentVersion;
  return (pollers ?? []).some(({ lastAccessTime, deploymentOptions: actual }) => {
    const seenAt = Number(lastAccessTime?.seconds ?? 0) * 1000;
    if (Date.now() - seenAt >= POLLER_SEEN_WITHIN_MS) return false;
    return !required || (actual?.deploymentName === required.deploymentName && actual?.buildId === required.buildId);
  });
}

/**
 * Returns the task queues that no worker polls. Does not throw while calls are in progress, because the caller may
 * close the connection next.
 */
export async function findUnpolledTaskQueues({ client, approvalClient = client }: ShopClients): Promise<string[]> {
  const checks = TASK_QUEUES.map(async (taskQueue) => {
    const queueClient = taskQueue === APPROVAL_TASK_QUEUE ? approvalClient : client;
    const isPolled = await hasPoller(queueClient, taskQueue, {
      kind: hasWorkflows(taskQueue) ? 'workflow' : 'activity',
    });
    return isPolled ? [] : [taskQueue];
  });
  return (await waitForAll(checks)).flat();
}

/** Returns the version to which an execution is pinned, or undefined when it uses the current version. */
export function pinnedVersionOf({ raw }: Pick<WorkflowExecutionDescription, 'raw'>): WorkerVersion | undefined {
  const { behavior, deploymentVersion } = raw.workflowExecutionInfo?.versioningInfo ?? {};
  return behavior === VERSIONING_BEHAVIOR_PINNED ? (deploymentVersion ?? undefined) : undefined;
}
