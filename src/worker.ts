import { openResources } from './startup/resources.js';
import { runProcess, type ProcessLifecycle } from './startup/run-process.js';
import { paymentGatewayUrl } from './startup/worker/payment-gateway.js';
import { serveWorkerHealth } from './startup/worker/health.js';
import { createConfiguredWorkers, installRuntime } from './startup/worker/workers.js';
import { openWorkerConnection } from './temporal/connections.js';
import { FORCED_SHUTDOWN_SECONDS } from './temporal/workers.js';

/** Maximum time to close the connections after the workers have stopped. */
const CLOSE_TIMEOUT_SECONDS = 4;

/**
 * Runs the worker process. It polls until SIGINT or SIGTERM, then lets running activities finish within the grace
 * period.
 */
async function main({ onStop }: ProcessLifecycle): Promise<void> {
  const resources = await openResources('worker', (config) => [paymentGatewayUrl(config), config.CARRIER_URL]);
  const { config, logger } = resources;
  installRuntime(resources);
  const connection = await openWorkerConnection(config);
  resources.onClose(() => connection.close());
  const workers = await createConfiguredWorkers(resources, connection);
  await serveWorkerHealth(resources, { connection, workers });

  const stopWithinSeconds = config.SHUTDOWN_GRACE_SECONDS + FORCED_SHUTDOWN_SECONDS + CLOSE_TIMEOUT_SECONDS;
  onStop((signal) => {
    logger.info({ signal }, 'stopping');
    workers.shutdown();
  }, stopWithinSeconds * 1000);
  try {
    await workers.run();
  } finally {
    await resources.close();
  }
  logger.info('stopped');
}

await runProcess(main);
