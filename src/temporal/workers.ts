import {
  ResourceBasedController,
  Worker,
  type NativeConnection,
  type ResourceBasedTunerOptions,
  type TunerHolder,
  type WorkerOptions,
} from '@temporalio/worker';
import { waitForAll } from '../async/promises.js';
import { approvalServiceHandler } from '../nexus/approval-service.js';
import type { Activities } from '../activities/index.js';
import type { Config } from '../config/read.js';
import { createWorkerDataConverter } from './encryption/data-converters.js';
import type { EncryptionKey } from './encryption/keys.js';
import { hasWorkflows, TASK_QUEUES, type TaskQueue } from './task-queues.js';
import { offersUpgradeOnContinueAsNew, versioningBehaviorOf } from './versioning.js';
import { APPROVAL_TASK_QUEUE } from '../workflows/approval/contract.js';
import { BATCH_TASK_QUEUE } from '../workflows/batch/contract.js';
import { PAYMENT_TASK_QUEUE } from '../workflows/order/contract.js';

/**
 * How long a shutdown waits for activities after their grace period. Activities that still run are then abandoned and
 * retried on another worker.
 */
export const FORCED_SHUTDOWN_SECONDS = 5;

export interface WorkersOptions extends Pick<
  WorkerOptions,
  | 'workflowBundle'
  | 'debugMode'
  | 'maxCachedWorkflows'
  | 'shutdownGraceTime'
  | 'shutdownForceTime'
  | 'interceptors'
  | 'sinks'
> {
  connection: NativeConnection;
  namespace: string;
  /**
   * The namespace in which other workflows request approvals over Nexus. If set, the task queue of approvals is polled
   * in this namespace too.
   */
  approvalNamespace?: string | undefined;
  activities: Activities;
  /** The first key encrypts, and all keys decrypt. With keys, the bundle must have the variant `encrypted`. */
  encryptionKeys?: readonly EncryptionKey[] | undefined;
  /** The task queues that this process polls. Default: all. */
  taskQueues?: readonly TaskQueue[];
  concurrencyLimits?: ConcurrencyLimits;
  /** The maximum number of concurrent chunks. Each running chunk uses a database connection and database CPU. */
  batchConcurrentChunks: number;
  /**
   * The maximum number of calls per second to the payment gateway by all workers together. All workers must have the
   * same value.
   */
  paymentsPerSecond?: number | undefined;
  /** The version for Worker Deployment Versioning. If missing, the workers are unversioned. */
  deploymentVersion?: { name: string; buildId: string };
}

/**
 * The concurrency limits of each worker. Default: the values of the SDK. With `resourceTargets`, a worker may stay
 * below the limits.
 */
export interface ConcurrencyLimits {
  activities?: number | undefined;
  workflowTasks?: number | undefined;
  /** The shares of memory and CPU of the machine or container at which the workers stop accepting tasks. */
  resourceTargets?: ResourceBasedTunerOptions | undefined;
}

/** The default limits of an SDK worker without a tuner. */
const DEFAULT_SLOTS = { activities: 100, workflowTasks: 40, nexusTasks: 100 };

type ConcurrencyConfig = Pick<
  Config<'worker'>,
  | 'WORKER_TUNER'
  | 'WORKER_TARGET_MEMORY'
  | 'WORKER_TARGET_CPU'
  | 'WORKER_MAX_CONCURRENT_ACTIVITIES'
  | 'WORKER_MAX_CONCURRENT_WORKFLOW_TASKS'
>;

/**
 * Returns the configured concurrency limits. The default targets leave memory and CPU for other work of the process and
 * the machine.
 */
export function readConcurrencyLimits(config: ConcurrencyConfig): ConcurrencyLimits {
  const { WORKER_TARGET_MEMORY: targetMemoryUsage = 0.8, WORKER_TARGET_CPU: targetCpuUsage = 0.9 } = config;
  return {
    activities: config.WORKER_MAX_CONCURRENT_ACTIVITIES,
    workflowTasks: config.WORKER_MAX_CONCURRENT_WORKFLOW_TASKS,
    resourceTargets: config.WORKER_TUNER === 'resource-based' ? { targetMemoryUsage, targetCpuUsage } : undefined,
  };
}

/** The workers of this process: one per task queue and namespace, all on one connection. */
export interface Workers {
  /**
   * Polls until shutdown or until a worker fails. Then all workers finish their tasks and stop. @throws the failure.
   */
  run: () => Promise<void>;
  shutdown: () => void;
  /** Returns the task queues that are not polled, for example before `run` or after a stop. */
  unpolledTaskQueues: () => string[];
}

/** Creates the workers. Polling starts with `run`. */
export async function createWorkers({
  namespace,
  approvalNamespace,
  taskQueues = TASK_QUEUES,
  concurrencyLimits = {},
  batchConcurrentChunks,
  paymentsPerSecond,
  deploymentVersion,
  workflowBundle,
  encryptionKeys = [],
  ...options
}: WorkersOptions): Promise<Workers> {
  const tunerFor = createTuners(concurrencyLimits, options.maxCachedWorkflows);
  const activityLimits: Partial<Record<string, number>> = { [BATCH_TASK_QUEUE]: batchConcurrentChunks };
  const canUpgradeOnContinueAsNew =
    deploymentVersion !== undefined && (await offersUpgradeOnContinueAsNew(options.connection));
  const targets = taskQueues.map((taskQueue): WorkerTarget => ({
    namespace,
    peerNamespace: approvalNamespace,
    taskQueue,
  }));
  // The namespace of the shop keeps its approval worker, for orders that were placed before APPROVAL_NAMESPACE was set.
  if (approvalNamespace !== undefined && taskQueues.includes(APPROVAL_TASK_QUEUE)) {
    targets.push({
      namespace: approvalNamespace,
      peerNamespace: namespace,
      taskQueue: APPROVAL_TASK_QUEUE,
      nexusServices: [approvalServiceHandler],
    });
  }
  const workers = await Promise.all(
    targets.map(({ peerNamespace, ...target }) => {
      const { taskQueue } = target;
      return Worker.create({
        // Limits the delay until an activity notices its cancellation, which arrives in the response to a heartbeat.
        maxHeartbeatThrottleInterval: '1 second',
        // Limits how long a workflow task waits for a worker that was killed. Half of the default.
        stickyQueueScheduleToStartTimeout: '5 seconds',
        ...options,
        ...target,
        dataConverter: createWorkerDataConverter({
          keys: encryptionKeys,
          namespace: target.namespace,
          peerNamespaces: peerNamespace === undefined ? [] : [peerNamespace],
        }),
        tuner: tunerFor(activityLimits[taskQueue]),
        ...(hasWorkflows(taskQueue) && workflowBundle && { workflowBundle }),
        ...(taskQueue === PAYMENT_TASK_QUEUE &&
          paymentsPerSecond !== undefined && { maxTaskQueueActivitiesPerSecond: paymentsPerSecond }),
        ...(deploymentVersion && {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: { deploymentName: deploymentVersion.name, buildId: deploymentVersion.buildId },
            defaultVersioningBehavior: versioningBehaviorOf(taskQueue, { canUpgradeOnContinueAsNew }),
          },
        }),
      });
    }),
  );
  const shutdown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  return {
    shutdown,
    unpolledTaskQueues: () =>
      workers.filter((worker) => worker.getState() !== 'RUNNING').map(({ options }) => options.taskQueue),
    async run() {
      const runs = workers.map((worker) => worker.run());
      for (const run of runs) run.catch(shutdown);
      await waitForAll(runs);
    },
  };
}

interface WorkerTarget extends Pick<WorkerOptions, 'nexusServices'> {
  namespace: string;
  /** The namespace with which this namespace exchanges payloads over Nexus. */
  peerNamespace: string | undefined;
  taskQueue: TaskQueue;
}

/**
 * Returns a function that creates the tuner of a worker. Resource-based tuners share one controller. Limits concurrent
 * workflow tasks to the size of the cache, because more workflows would evict each other.
 */
function createTuners(
  { activities, workflowTasks, resourceTargets }: ConcurrencyLimits,
  cached = Infinity,
): (fixed?: number) => TunerHolder {
  const controller = resourceTargets && ResourceBasedController.create(resourceTargets);
  const slots = (most: number | undefined, otherwise: number) =>
    controller
      ? ({ type: 'resource-based', controller, ...(most !== undefined && { maximumSlots: most }) } as const)
      : ({ type: 'fixed-size', numSlots: most ?? otherwise } as const);
  return (fixed) => ({
    workflowTaskSlotSupplier: slots(minDefined(workflowTasks, cached), Math.min(DEFAULT_SLOTS.workflowTasks, cached)),
    activityTaskSlotSupplier:
      fixed === undefined ? slots(activities, DEFAULT_SLOTS.activities) : { type: 'fixed-size', numSlots: fixed },
    localActivityTaskSlotSupplier: slots(activities, DEFAULT_SLOTS.activities),
    nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: DEFAULT_SLOTS.nexusTasks },
  });
}

function minDefined(number: number | undefined, bound: number): number | undefined {
  return number === undefined ? undefined : Math.min(number, bound);
}
