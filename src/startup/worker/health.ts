import type { NativeConnection } from '@temporalio/worker';
import { serveHealth } from '../../observability/health-server.js';
import type { Workers } from '../../temporal/workers.js';
import type { Resources } from '../resources.js';

/** Serves the health of a worker if HEALTH_PORT is set. Checks the Temporal server, the task queues and the store. */
export async function serveWorkerHealth(
  { config, logger, store, onClose }: Resources<'worker'>,
  { connection, workers }: { connection: NativeConnection; workers: Workers },
): Promise<void> {
  const { HEALTH_HOST: host, HEALTH_PORT: port } = config;
  if (port === undefined) return;
  const health = await serveHealth(
    {
      temporal: () => connection.workflowService.getSystemInfo({}).then(() => 'ok'),
      worker: () => {
        const unpolled = workers.unpolledTaskQueues();
        return unpolled.length ? `does not poll ${unpolled.join(', ')}` : 'ok';
      },
      store: () => store.checkWritable(),
    },
    { host, port, logger },
  );
  onClose(() => health.close());
}
