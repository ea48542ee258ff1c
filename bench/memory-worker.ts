import { NativeConnection, Worker } from '@temporalio/worker';
import { z } from 'zod';

/** A worker process that keeps the workflows of one kind in its cache, to be measured from outside. */
const { ADDRESS, TASK_QUEUE, WORKFLOWS_PATH } = z
  .object({ ADDRESS: z.string(), TASK_QUEUE: z.string(), WORKFLOWS_PATH: z.string() })
  .parse(process.env);

const connection = await NativeConnection.connect({ address: ADDRESS });
const worker = await Worker.create({
  connection,
  taskQueue: TASK_QUEUE,
  workflowsPath: WORKFLOWS_PATH,
  maxCachedWorkflows: 10_000,
  // One thread, so that all workflows count in one process's heap; the bench looks at the process as a whole anyway.
  workflowThreadPoolSize: 1,
  activities: { openCart: async () => undefined, checkItem: async () => undefined },
});
process.on('SIGTERM', () => worker.shutdown());
const running = worker.run();
console.log('ready');
await running;
await connection.close();
