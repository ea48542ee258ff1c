import type { Client } from '@temporalio/client';
import proto from '@temporalio/proto';
import { waitForAll } from '../async/promises.js';
import { APPROVAL_TASK_QUEUE } from '../workflows/approval/contract.js';
import type { ShopClients } from './client/approval-clients.js';
import { optionalTsToMs } from './sdk/time.js';
import { hasWorkflows, TASK_QUEUES, type TaskQueue } from './task-queues.js';

const { TASK_QUEUE_TYPE_WORKFLOW: workflow, TASK_QUEUE_TYPE_ACTIVITY: activity } =
  proto.temporal.api.enums.v1.TaskQueueType;
const TASK_TYPES = { workflow, activity };

type TaskType = keyof typeof TASK_TYPES;

/** The server's estimate of the tasks of one type that wait in a task queue. */
export interface TaskBacklog {
  taskQueue: TaskQueue;
  taskType: TaskType;
  taskCount: number;
  /** The time that the oldest task has waited. */
  ageSeconds: number;
}

/**
 * Reads the backlogs of all task queues, with one call per queue and type. Throws only after all calls have ended.
 * Approvals with a namespace of their own have the backlog of that namespace.
 */
export async function readTaskBacklogs({ client, approvalClient = client }: ShopClients): Promise<TaskBacklog[]> {
  const calls = TASK_QUEUES.flatMap((taskQueue) =>
    (Object.keys(TASK_TYPES) as TaskType[])
      .filter((taskType) => taskType === 'activity' || hasWorkflows(taskQueue))
      .map((taskType) =>
        readTaskBacklog(taskQueue === APPROVAL_TASK_QUEUE ? approvalClient : client, taskQueue, taskType),
      ),
  );
  return await waitForAll(calls);
}

async function readTaskBacklog(client: Client, taskQueue: TaskQueue, taskType: TaskType): Promise<TaskBacklog> {
  const { stats } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: TASK_TYPES[taskType],
    reportStats: true,
  });
  return {
    taskQueue,
    taskType,
    taskCount: Number(stats?.approximateBacklogCount ?? 0),
    ageSeconds: (optionalTsToMs(stats?.approximateBacklogAge) ?? 0) / 1000,
  };
}

/** The maximum page size of the server. */
const PAGE_SIZE = 1_000;

/**
 * Returns the workflow ids of the oldest `max` executions that match a query, with the oldest one last. Reads all
 * pages, because the server lists the newest executions first.
 */
export async function listOldestWorkflowIds(
  { workflowService, options: { namespace } }: Client,
  query: string,
  max: number,
): Promise<string[]> {
  let ids: string[] = [];
  let nextPageToken: Uint8Array = new Uint8Array();
  do {
    const page = await workflowService.listWorkflowExecutions({ namespace, query, pageSize: PAGE_SIZE, nextPageToken });
    ids = [...ids, ...(page.executions ?? []).map(({ execution }) => execution?.workflowId ?? '')].slice(-max);
    nextPageToken = page.nextPageToken ?? new Uint8Array();
  } while (nextPageToken.length > 0);
  return ids;
}
