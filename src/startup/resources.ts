import { runInOrder } from '../async/promises.js';
import { formatConfigProblem } from '../config/errors.js';
import { redactConfig, type Config } from '../config/read.js';
import { createOutgoingHttpClient, type OutgoingHttpClient } from '../http-client/outgoing-http-client.js';
import { createLogger, type Logger } from '../observability/logger.js';
import { startTracing } from '../observability/tracing/index.js';
import type { Tracing } from '../observability/tracing/tracing.js';
import { openStore, type Store } from '../store/index.js';
import { checkEnvironment, loadStartupConfig } from './checks/index.js';

/** The resources of a worker or an API process. */
export interface Resources<P extends 'worker' | 'api'> {
  config: Config<P>;
  logger: Logger;
  /** Undefined when tracing is off. */
  tracing: Tracing | undefined;
  store: Store;
  outgoing: OutgoingHttpClient;
  /** Registers a function that `close` calls. */
  onClose: (close: () => Promise<unknown>) => void;
  /** Closes all resources, the last opened resource first, also after a failure. @throws the first failure. */
  close: () => Promise<void>;
}

/**
 * Reads the configuration of a process, checks its environment, and opens all resources except the Temporal connection.
 *
 * @param partnerUrls returns the URLs of the partners whose calls are traced.
 * @throws ConfigError when the process cannot start. The API also starts while its servers are unreachable, and returns
 * 503 for requests that need them.
 */
export async function openResources<P extends 'worker' | 'api'>(
  processName: P,
  partnerUrls: (config: Config<P>) => string[] = () => [],
): Promise<Resources<P>> {
  const config = await loadStartupConfig(processName);
  // Creates the logger before tracing, because tracing can log problems while it starts.
  let tracing: Tracing | undefined = undefined;
  const logger = createLogger(processName, config.LOG_LEVEL, () => tracing?.logFields() ?? {});
  tracing = await startTracing(config, {
    service: processName,
    partners: partnerUrls(config),
    onExportError: (problem) => logger.warn({ problem }, 'traces are not delivered'),
  });
  logger.info({ config: redactConfig(config) }, 'starting');
  for (const problem of await checkEnvironment(processName, config)) logger.error(formatConfigProblem(problem));
  const store = openConfiguredStore(config, logger);
  const outgoing = createOutgoingHttpClient({
    allowedHosts: config.OUTGOING_ALLOWED_HOSTS,
    allowPrivateAddresses: config.OUTGOING_ALLOW_PRIVATE,
  });
  const closers: (() => Promise<unknown>)[] = [
    async () => tracing?.shutdown(),
    () => store.close(),
    () => outgoing.close(),
  ];
  return {
    config,
    logger,
    tracing,
    store,
    outgoing,
    onClose: (close) => closers.push(close),
    close: () => runInOrder(closers.toReversed()),
  };
}

/** Opens the store and logs lost connections. */
export function openConfiguredStore(
  config: { DATABASE_URL: string; DATABASE_POOL_SIZE: number; IDEMPOTENCY_KEY_RETENTION_HOURS?: number },
  logger: Logger,
): Store {
  return openStore({
    databaseUrl: config.DATABASE_URL,
    maxConnections: config.DATABASE_POOL_SIZE,
    idempotencyKeyRetentionHours: config.IDEMPOTENCY_KEY_RETENTION_HOURS,
    onIdleError: (err) => logger.warn({ err }, 'lost a database connection'),
  });
}
