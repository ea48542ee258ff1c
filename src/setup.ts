import { ConfigError } from './config/errors.js';
import { createLogger } from './observability/logger.js';
import { ensureNamespace, ensureSearchAttributes } from './temporal/provisioning.js';
import { openStore } from './store/index.js';
import { migrate } from './store/migrations/index.js';
import { grantAppRolePrivileges, TableOwnerRoleError } from './store/postgres/privileges.js';
import { checkEnvironment, loadStartupConfig } from './startup/checks/index.js';
import { runProcess } from './startup/run-process.js';
import { openConnection } from './temporal/connections.js';
import { SEARCH_ATTRIBUTES } from './temporal/search-attributes.js';

/** SQLSTATE `undefined_object` and `insufficient_privilege`. */
const UNDEFINED_OBJECT = '42704';
const INSUFFICIENT_PRIVILEGE = '42501';

/** Runs once before workers and API: database schema and privileges, namespace, search attributes. Idempotent. */
async function main(): Promise<void> {
  const config = await loadStartupConfig('setup');
  const logger = createLogger('setup', config.LOG_LEVEL);
  await checkEnvironment('setup', config);

  const store = openStore({
    databaseUrl: config.DATABASE_URL,
    maxConnections: 1,
    onIdleError: (err) => logger.warn({ err }, 'lost a database connection'),
  });
  const role = config.DATABASE_APP_ROLE;
  try {
    logger.info({ applied: await migrate(store.db) }, 'database schema is up to date');
    if (role !== undefined) {
      await grantAppRolePrivileges(store.db, role);
      logger.info({ role }, 'the role has its rights');
    }
  } catch (error) {
    throw toConfigError(error, role);
  } finally {
    await store.close();
  }

  const connection = await openConnection(config);
  try {
    await ensureNamespace(connection, config.TEMPORAL_NAMESPACE);
    const added = await ensureSearchAttributes(connection, config.TEMPORAL_NAMESPACE, SEARCH_ATTRIBUTES);
    logger.info({ added }, 'namespace and Search Attributes are ready');
  } finally {
    await connection.close();
  }
}

/** Maps a database error to the variable that causes it. */
function toConfigError(error: unknown, role: string | undefined): unknown {
  const problem = (name: string, text: string, example: string) =>
    new ConfigError('The setup', [{ name, problem: text, example }]);
  if (error instanceof TableOwnerRoleError)
    return problem(
      'DATABASE_APP_ROLE',
      `${role} owns the tables or is the role of this setup; name the role of worker and API, or none`,
      'shop',
    );
  switch ((error as { code?: string }).code) {
    case UNDEFINED_OBJECT:
      return problem('DATABASE_APP_ROLE', `there is no role ${role}; create it with a login and a password`, 'shop');
    case INSUFFICIENT_PRIVILEGE:
      return problem(
        'DATABASE_URL',
        `its role must own the database or may create tables in it: ${(error as Error).message}`,
        'postgres://owner:password@127.0.0.1:5432/shop',
      );
  }
  return error;
}

await runProcess(main);
