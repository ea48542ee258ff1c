import { ConfigError, loadConfig } from './config.js';
import { createLogger } from './logger.js';
import { exitOnStartFailure } from './start-failure.js';
import { ensureNamespace, ensureSearchAttributes } from './namespace.js';
import { openStore } from './store/index.js';
import { migrate } from './store/migrate.js';
import { grantRights, OwnerNeedsAll } from './store/rights.js';
import { connect, SEARCH_ATTRIBUTES } from './temporal.js';

/** SQLSTATE `undefined_object`. */
const NO_SUCH_ROLE = '42704';

/** Run once before workers and API: database schema and rights, namespace, Search Attributes. Repeating it changes nothing. */
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
    const role = config.DATABASE_APP_ROLE;
    if (role !== undefined) {
      await grantRights(store.db, role).catch((error: unknown) => {
        throw roleProblem(role, error);
      });
      logger.info({ role }, 'the role has its rights');
    }
  } finally {
    await store.close();
  }

  const connection = await connect(config);
  try {
    await ensureNamespace(connection, config.TEMPORAL_NAMESPACE);
    const added = await ensureSearchAttributes(connection, config.TEMPORAL_NAMESPACE, SEARCH_ATTRIBUTES);
    logger.info({ added }, 'namespace and Search Attributes are ready');
  } finally {
    await connection.close();
  }
}

function roleProblem(role: string, error: unknown): unknown {
  if (error instanceof OwnerNeedsAll)
    return new ConfigError(
      `DATABASE_APP_ROLE: ${role} owns the tables or is the role of this setup; name the role of worker and API, or none`,
    );
  return (error as { code?: string }).code === NO_SUCH_ROLE
    ? new ConfigError(`DATABASE_APP_ROLE: there is no role ${role} (for example: create role shop login password '…')`)
    : error;
}

await main().catch(exitOnStartFailure);
