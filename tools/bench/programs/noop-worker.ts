import { NativeConnection, Runtime } from '@temporalio/worker';
import { z } from 'zod';
import { waitUntil } from '../../processes/wait.js';
import type { Activities } from '../../../src/activities/index.js';
import { coreLogFilter, createLogger, temporalLogger } from '../../../src/observability/logger.js';
import { createWorkers } from '../../../src/temporal/workers.js';

export interface NoopActivities {
  doNothing: () => Promise<void>;
  /** Makes the process that started the worker send two signals to the workflow. */
  requestMoves: (workflowId: string) => Promise<void>;
}

/**
 * A worker process for workflows that do nothing, with the settings of the shop's worker. Prints `ready` when it polls,
 * and `move <workflow id>` for each call of `requestMoves`.
 */
const { ADDRESS, NAMESPACE, BUNDLE } = z
  .object({ ADDRESS: z.string(), NAMESPACE: z.string(), BUNDLE: z.string() })
  .parse(process.env);

Runtime.install({
  logger: temporalLogger(createLogger('noop', 'warn')),
  shutdownSignals: ['SIGINT', 'SIGTERM'],
  telemetryOptions: { logging: { filter: coreLogFilter('warn'), forward: {} } },
});
const activities: NoopActivities = {
  doNothing: async () => undefined,
  requestMoves: async (workflowId) => console.log(`move ${workflowId}`),
};
const connection = await NativeConnection.connect({ address: ADDRESS });
const workers = await createWorkers({
  connection,
  namespace: NAMESPACE,
  workflowBundle: { codePath: BUNDLE },
  activities: activities as unknown as Activities,
  batchConcurrentChunks: 4,
});
const running = workers.run();
await waitUntil(() => workers.unpolledTaskQueues().length === 0 || undefined, {
  description: 'polling',
  timeoutMs: 60_000,
});
console.log('ready');
await running;
await connection.close();
