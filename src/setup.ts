import { Client } from '@temporalio/client';
import { ConfigError, type ConfigProblem } from './config/errors.js';
import { createLogger } from './observability/logger.js';
import { ensureNamespace, ensureSearchAttributes } from './temporal/provisioning.js';
import { SQLSTATE, sqlStateOf } from './store/postgres/sqlstate.js';
import { openConfiguredStore } from './startup/resources.js';
import { migrate } from './store/migrations/index.js';
import { grantAppRolePrivileges, TableOwnerRoleError } from './store/postgres/privileges.js';
import { checkEnvironment, loadStartupConfig } from './startup/checks/index.js';
import { runProcess } from './startup/run-process.js';
import { openConnection } from './temporal/connections.js';
import { EndpointError, endpointOf, ensureEndpoint } from './temporal/nexus-endpoints.js';
import { ensureSchedules } from './temporal/schedules.js';
import { SEARCH_ATTRIBUTES } from './temporal/search-attributes.js';
import { APPROVAL_TASK_QUEUE } from './workflows/approval/contract.js';

/**
 * Prepares the servers before workers and API start: the database schema, privileges, namespaces, search attributes,
 * Nexus endpoint and schedules. Safe to run again.
 */
async function main(): Promise<void> {
  const config = await loadStartupConfig('setup');
  const logger = createLogger('setup', config.LOG_LEVEL);
  await checkEnvironment('setup', config);

  const store = openConfiguredStore({ ...config, DATABASE_POOL_SIZE: 1 }, logger);
  const role = config.DATABASE_APP_ROLE;
  try {
    logger.info({ applied: await migrate(store.db) }, 'database schema is up to date');
    if (role !== undefined) {
      await grantAppRolePrivileges(store.db, role);
      logger.info({ role }, 'granted the privileges of the application role');
    }
  } catch (error) {
    throw toConfigError(error, role);
  } finally {
    await store.close();
  }

  const connection = await openConnection(config);
  try {
    const { TEMPORAL_NAMESPACE, TEMPORAL_RETENTION_DAYS: retentionDays, APPROVAL_NAMESPACE } = config;
    for (const namespace of [TEMPORAL_NAMESPACE, ...(APPROVAL_NAMESPACE === undefined ? [] : [APPROVAL_NAMESPACE])]) {
      await ensureNamespace(connection, namespace, { retentionDays });
      const added = await ensureSearchAttributes(connection, namespace, SEARCH_ATTRIBUTES);
      logger.info({ namespace, added }, 'namespace and search attributes are ready');
    }
    if (APPROVAL_NAMESPACE !== undefined) {
      const target = { namespace: APPROVAL_NAMESPACE, taskQueue: APPROVAL_TASK_QUEUE };
      const isNew = await ensureEndpoint(connection, target);
      logger.info({ endpoint: endpointOf(APPROVAL_NAMESPACE), isNew }, 'the Nexus endpoint of approvals is ready');
    }
    const created = await ensureSchedules(new Client({ connection, namespace: TEMPORAL_NAMESPACE }));
    logger.info({ created }, 'schedules are ready');
  } catch (error) {
    throw error instanceof EndpointError ? endpointConfigError(error) : error;
  } finally {
    await connection.close();
  }
}

function endpointConfigError({ message: problem }: EndpointError): ConfigError {
  return new ConfigError('The setup', [{ name: 'APPROVAL_NAMESPACE', problem, example: 'approvals' }]);
}

/** Maps a database error to a problem of the variable that causes the error. Returns other errors unchanged. */
function toConfigError(error: unknown, role: string | undefined): unknown {
  const problem = findProblem(error, role);
  return problem ? new ConfigError('The setup', [problem]) : error;
}

function findProblem(error: unknown, role: string | undefined): ConfigProblem | undefined {
  if (error instanceof TableOwnerRoleError)
    return {
      name: 'DATABASE_APP_ROLE',
      problem: `role ${role} owns the tables or is the role that runs the setup; use a separate role for workers and API, or unset the variable`,
      example: 'shop',
    };
  switch (sqlStateOf(error)) {
    case SQLSTATE.undefinedObject:
      return {
        name: 'DATABASE_APP_ROLE',
        problem: `role ${role} does not exist; create it with LOGIN and a password`,
        example: 'shop',
      };
    case SQLSTATE.insufficientPrivilege:
      return {
        name: 'DATABASE_URL',
        problem: `the role in the URL must own the database or have the privilege to create tables: ${(error as Error).message}`,
        example: 'postgres://owner:password@127.0.0.1:5432/shop',
      };
    default:
      return undefined;
  }
}

await runProcess(main);
