import { Connection } from '@temporalio/client';
import { loadConfig } from './config.js';
import { createLogger } from './logger.js';
import { exitOnStartFailure } from './start-failure.js';
import { ensureNamespace, ensureSearchAttributes } from './namespace.js';
import { openStore } from './store/index.js';
import { migrate } from './store/migrate.js';
import { SEARCH_ATTRIBUTES } from './temporal.js';

/** Run once before workers and API: database schema, namespace, Search Attributes. Repeating it changes nothing. */
async function main(): Promise<void> {
  const config = loadConfig('setup');
  const logger = createLogger('setup', config.LOG_LEVEL);

  const store = openStore({
    databaseUrl: config.DATABASE_URL,
    maxConnections: 1,
    onIdleError: (err) => logger.warn({ err }, 'lost a database connection'),
  });
  try {
    logger.info({ applied: await migrate(store.db) }, 'database schema is up to date');
  } finally {
    await store.close();
  }

  const connection = await Connection.connect({ address: config.TEMPORAL_ADDRESS });
  try {
    await ensureNamespace(connection, config.TEMPORAL_NAMESPACE);
    const added = await ensureSearchAttributes(connection, config.TEMPORAL_NAMESPACE, SEARCH_ATTRIBUTES);
    logger.info({ added }, 'namespace and Search Attributes are ready');
  } finally {
    await connection.close();
  }
}

await main().catch(exitOnStartFailure);
