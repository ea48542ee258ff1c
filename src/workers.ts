import { Worker, type NativeConnection, type WorkerOptions } from '@temporalio/worker';
import type { Activities } from './activities/index.js';
import { TASK_QUEUES } from './temporal.js';
import { BATCH_TASK_QUEUE } from './workflows/batch/contract.js';

export interface WorkersOptions extends Omit<WorkerOptions, 'taskQueue' | 'activities'> {
  /** A task of a batch holds a connection to the database, and the processor of the database, for as long as it runs. */
  batchTasksAtOnce: number;
  connection: NativeConnection;
  activities: Activities;
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
export async function createWorkers({ batchTasksAtOnce, ...options }: WorkersOptions): Promise<Workers> {
  const workers = await Promise.all(
    TASK_QUEUES.map((taskQueue) =>
      Worker.create({
        // How late an activity learns of its cancellation, at most: it comes with the answer to a heartbeat.
        maxHeartbeatThrottleInterval: '1 second',
        ...options,
        ...(taskQueue === BATCH_TASK_QUEUE && { maxConcurrentActivityTaskExecutions: batchTasksAtOnce }),
        taskQueue,
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
