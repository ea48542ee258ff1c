import {
  ResourceBasedController,
  Worker,
  type NativeConnection,
  type ResourceBasedTunerOptions,
  type TunerHolder,
  type WorkerOptions,
} from '@temporalio/worker';
import type { Activities } from '../activities/index.js';
import type { Config } from '../config.js';
import { workerDataConverter } from './encryption/data-converters.js';
import type { EncryptionKey } from './encryption/keys.js';
import { hasWorkflows, TASK_QUEUES, versioningOf, type TaskQueue } from './task-queues.js';
import { BATCH_TASK_QUEUE } from '../workflows/batch/contract.js';
import { PAYMENT_TASK_QUEUE } from '../workflows/order/contract.js';

/** Longest wait for activities on shutdown after their grace period; then they are abandoned and retried elsewhere. */
export const FORCE_AFTER_GRACE_SECONDS = 5;

export interface WorkersOptions extends Pick<
  WorkerOptions,
  | 'namespace'
  | 'workflowBundle'
  | 'maxCachedWorkflows'
  | 'shutdownGraceTime'
  | 'shutdownForceTime'
  | 'interceptors'
  | 'sinks'
> {
  connection: NativeConnection;
  activities: Activities;
  /** The first encrypts, all of them decrypt. The bundle then has the flavour `encrypted`. */
  encryptionKeys?: readonly EncryptionKey[] | undefined;
  /** What this process polls; without it, everything. */
  queues?: readonly TaskQueue[];
  concurrency?: Concurrency;
  /** A task of a batch holds a connection to the database, and the processor of the database, for as long as it runs. */
  batchTasksAtOnce: number;
  /** The most that the payment gateway is called in a second by all workers together. All must say the same. */
  paymentsPerSecond?: number | undefined;
  /** What this process runs, for Worker Deployment Versioning; without it, its workers take whatever comes. */
  deployment?: { name: string; buildId: string };
}

/** How much each worker takes on at a time: the SDK's numbers unless others are given, and less when `targets` say so. */
export interface Concurrency {
  activities?: number | undefined;
  workflowTasks?: number | undefined;
  /** Shares of the machine's (or container's) memory and processor above which no worker of this process takes more. */
  targets?: ResourceBasedTunerOptions | undefined;
}

/** What the SDK takes without a tuner. */
const FIXED = { activities: 100, workflowTasks: 40 };

type ConcurrencyConfig = Pick<
  Config<'worker'>,
  | 'WORKER_TUNER'
  | 'WORKER_TARGET_MEMORY'
  | 'WORKER_TARGET_CPU'
  | 'WORKER_ACTIVITIES_AT_ONCE'
  | 'WORKER_WORKFLOW_TASKS_AT_ONCE'
>;

/** As it is configured. Targets leave room for what the process does besides, and for the machine's other processes. */
export function concurrencyOf(config: ConcurrencyConfig): Concurrency {
  const { WORKER_TARGET_MEMORY: targetMemoryUsage = 0.8, WORKER_TARGET_CPU: targetCpuUsage = 0.9 } = config;
  return {
    activities: config.WORKER_ACTIVITIES_AT_ONCE,
    workflowTasks: config.WORKER_WORKFLOW_TASKS_AT_ONCE,
    targets: config.WORKER_TUNER === 'resource-based' ? { targetMemoryUsage, targetCpuUsage } : undefined,
  };
}

/** The workers of this process, one for each task queue, on one connection. */
export interface Workers {
  /** Polls until told to stop or until one of the workers fails; then all are drained. @throws that failure. */
  run: () => Promise<void>;
  shutdown: () => void;
  /** The task queues that are not polled, be it not yet or no more. */
  silent: () => string[];
}

/** Creates the workers; nothing is polled before `run`. */
export async function createWorkers({
  queues = TASK_QUEUES,
  concurrency = {},
  batchTasksAtOnce,
  paymentsPerSecond,
  deployment,
  workflowBundle,
  encryptionKeys = [],
  ...options
}: WorkersOptions): Promise<Workers> {
  const tunerFor = createTuners(concurrency, options.maxCachedWorkflows);
  const dataConverter = workerDataConverter({ keys: encryptionKeys, namespace: options.namespace ?? 'default' });
  const workers = await Promise.all(
    queues.map((taskQueue) =>
      Worker.create({
        // How late an activity learns of its cancellation, at most: it comes with the answer to a heartbeat.
        maxHeartbeatThrottleInterval: '1 second',
        ...options,
        dataConverter,
        taskQueue,
        tuner: tunerFor(taskQueue === BATCH_TASK_QUEUE ? batchTasksAtOnce : undefined),
        ...(hasWorkflows(taskQueue) && workflowBundle && { workflowBundle }),
        ...(taskQueue === PAYMENT_TASK_QUEUE &&
          paymentsPerSecond !== undefined && { maxTaskQueueActivitiesPerSecond: paymentsPerSecond }),
        ...(deployment && {
          workerDeploymentOptions: {
            useWorkerVersioning: true,
            version: { deploymentName: deployment.name, buildId: deployment.buildId },
            defaultVersioningBehavior: versioningOf(taskQueue),
          },
        }),
      }),
    ),
  );
  const shutdown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  return {
    shutdown,
    silent: () => workers.filter((worker) => worker.getState() !== 'RUNNING').map(({ options }) => options.taskQueue),
    async run() {
      const runs = workers.map((worker) => worker.run());
      for (const run of runs) run.catch(shutdown);
      await Promise.allSettled(runs);
      await Promise.all(runs);
    },
  };
}

/**
 * A tuner for each worker. Those that heed the machine share what they know of it. More workflow tasks than workflows in
 * the cache would push each other out of it.
 */
function createTuners(
  { activities, workflowTasks, targets }: Concurrency,
  cached = Infinity,
): (fixed?: number) => TunerHolder {
  const controller = targets && ResourceBasedController.create(targets);
  const slots = (most: number | undefined, otherwise: number) =>
    controller
      ? ({ type: 'resource-based', controller, ...(most !== undefined && { maximumSlots: most }) } as const)
      : ({ type: 'fixed-size', numSlots: most ?? otherwise } as const);
  return (fixed) => ({
    workflowTaskSlotSupplier: slots(atMost(workflowTasks, cached), Math.min(FIXED.workflowTasks, cached)),
    activityTaskSlotSupplier:
      fixed === undefined ? slots(activities, FIXED.activities) : { type: 'fixed-size', numSlots: fixed },
    localActivityTaskSlotSupplier: slots(activities, FIXED.activities),
    nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
  });
}

function atMost(number: number | undefined, bound: number): number | undefined {
  return number === undefined ? undefined : Math.min(number, bound);
}
