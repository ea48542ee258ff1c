import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../processes/commands.js';
import { databaseExists } from '../postgres/temporary-database.js';
import { freeLowPort, freePort } from '../../processes/ports.js';
import { startProcess, type ManagedProcess } from '../../processes/processes.js';
import { waitUntilServing } from './temporal-dev-server.js';
import type { TemporalServerBinaries } from '../programs/temporal-server-binaries.js';
import type { TemporalCredentials } from '../../../src/temporal/connection-profile.js';

export interface TemporalClusterOptions {
  programs: TemporalServerBinaries;
  /**
   * URL of a PostgreSQL server, with a user who may create databases. Temporal keeps its state in two databases on this
   * server.
   */
  databaseUrl: string;
  /** Folder for the server's dynamic configuration and log. */
  folder: string;
  /** Number of history shards, which is fixed once the databases exist. Default: 4. */
  historyShards?: number;
  /** Port of the frontend. Default: a free port. */
  port?: number;
  /**
   * Ports for the communication between the services, by environment variable. Default: free ports. A restart must use
   * the same ports.
   */
  servicePorts?: Record<string, string>;
  /** The database port that the server connects to. Default: the port in `databaseUrl`. */
  databasePort?: number;
  security?: ClusterSecurity;
}

/** Authentication and encryption of the server. Without these settings, every client may connect in plain text. */
export interface ClusterSecurity {
  /** Environment variables of the server that enable authentication and encryption. */
  env: Record<string, string>;
  /** Credentials with which a client may connect. */
  credentials: TemporalCredentials;
}

export interface TemporalCluster {
  readonly address: string;
  readonly pid: number;
  readonly process: ManagedProcess;
  stop(): Promise<void>;
}

const databaseNames = { temporal: 'temporal', visibility: 'temporal_visibility' };
const schemaTimeoutMs = 2 * 60_000;
const stopGraceMs = 30_000;

/** Limits of database connections for each service. All four services run in one process. */
const connectionLimits = {
  SQL_MAX_CONNS: '20',
  SQL_MAX_IDLE_CONNS: '20',
  SQL_VIS_MAX_CONNS: '5',
  SQL_VIS_MAX_IDLE_CONNS: '5',
};

/** Number of database connections that the cluster itself needs. */
export const CLUSTER_CONNECTIONS = 4 * (20 + 5);

/**
 * The dynamic configuration of the server in docker-compose.yml. Tests use the same configuration as the deployment.
 */
const deployedConfigUrl = new URL('../../../deploy/compose/temporal.yaml', import.meta.url);

/** Settings that only tests need. */
const testConfig = `
# All services know a new namespace after this time, by default two seconds. Each test file creates a namespace.
system.namespaceCacheRefreshInterval:
  - value: 200ms
# The cache of Search Attributes lives for a minute, and a start that uses an unknown attribute is rejected.
system.forceSearchAttributesCacheRefreshOnRead:
  - value: true
# The minimum time between a start and its continue-as-new, by default one second. Tests start many runs in a row.
history.workflowIdReuseMinimalInterval:
  - value: 0s
# How often the server checks whether a worker version is drained, by default minutes.
matching.wv.VersionDrainageStatusVisibilityGracePeriod:
  - value: 1s
matching.wv.VersionDrainageStatusRefreshInterval:
  - value: 1s
# A pre-release feature, which is off by default. The API must handle paused workflows.
frontend.WorkflowPauseEnabled:
  - value: true
# Off by default. The API must handle paused standalone activities.
history.enableStandaloneActivityOperatorCommands:
  - value: true
`;

/**
 * Starts the full Temporal server, with all services in one process. The server listens on loopback and keeps its state
 * in PostgreSQL. Creates or updates the databases first. Resolves when the server serves requests. A new cluster has no
 * namespace.
 *
 * @throws when the schema setup fails or the server does not start, with the last lines of output.
 */
export async function startTemporalCluster(options: TemporalClusterOptions): Promise<TemporalCluster> {
  const { programs, databaseUrl, folder, historyShards = 4, security } = options;
  await setUpSchema(programs.sqlToolPath, databaseUrl);

  const dynamicConfigFile = join(folder, 'temporal-dynamic-config.yaml');
  await writeFile(dynamicConfigFile, (await readFile(deployedConfigUrl, 'utf8')) + testConfig);
  const port = options.port ?? (await freePort());
  const database = new URL(databaseUrl);
  const server = await startProcess({
    name: 'temporal-server',
    command: programs.serverPath,
    args: ['--allow-no-auth', 'start'],
    env: {
      ...unsetServerVariables,
      DB: 'postgres12',
      POSTGRES_SEEDS: database.hostname,
      DB_PORT: String(options.databasePort ?? database.port),
      POSTGRES_USER: decodeURIComponent(database.username),
      POSTGRES_PWD: decodeURIComponent(database.password),
      DBNAME: databaseNames.temporal,
      VISIBILITY_DBNAME: databaseNames.visibility,
      ...connectionLimits,
      NUM_HISTORY_SHARDS: String(historyShards),
      BIND_ON_IP: '127.0.0.1',
      TEMPORAL_BROADCAST_ADDRESS: '127.0.0.1',
      FRONTEND_GRPC_PORT: String(port),
      ...(options.servicePorts ?? (await freeServicePorts())),
      DYNAMIC_CONFIG_FILE_PATH: dynamicConfigFile,
      LOG_LEVEL: 'warn',
      ...security?.env,
    },
    graceMs: stopGraceMs,
    logFile: join(folder, 'temporal-server.log'),
  });
  const address = `127.0.0.1:${port}`;
  try {
    await waitUntilServing(server, address, { credentials: security?.credentials });
  } catch (error) {
    await server.stop(stopGraceMs);
    throw error;
  }
  return {
    address,
    pid: server.pid,
    process: server,
    async stop() {
      await server.stop(stopGraceMs);
    },
  };
}

/** Unsets variables that would make the server read another configuration or run fewer services. */
const unsetServerVariables = {
  TEMPORAL_ROOT: undefined,
  TEMPORAL_CONFIG_DIR: undefined,
  TEMPORAL_ENVIRONMENT: undefined,
  TEMPORAL_SERVER_CONFIG_FILE_PATH: undefined,
  TEMPORAL_SERVICES: undefined,
};

/**
 * Returns free ports for gRPC between the services and for cluster membership. Membership ports must be below 32,768,
 * because PostgreSQL stores them as `smallint`.
 */
export async function freeServicePorts(): Promise<Record<string, string>> {
  const services = ['FRONTEND', 'INTERNAL_FRONTEND', 'HISTORY', 'MATCHING', 'WORKER'];
  const ports = await Promise.all([
    ...['FRONTEND_HTTP', 'INTERNAL_FRONTEND_GRPC', 'HISTORY_GRPC', 'MATCHING_GRPC', 'WORKER_GRPC'].map(async (name) => [
      name,
      await freePort(),
    ]),
    ...services.map(async (service) => [`${service}_MEMBERSHIP`, await freeLowPort()]),
  ]);
  return Object.fromEntries(ports.map(([name, port]) => [`${name}_PORT`, String(port)]));
}

/** Creates missing databases and updates their schemas. Does not change a schema that is up to date. */
async function setUpSchema(sqlTool: string, databaseUrl: string): Promise<void> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  const env = {
    SQL_PLUGIN: 'postgres12',
    SQL_HOST: hostname,
    SQL_PORT: port,
    SQL_USER: decodeURIComponent(username),
    SQL_PASSWORD: decodeURIComponent(password),
  };
  const run = (database: string, ...args: string[]) =>
    runCommand({
      name: `temporal-sql-tool ${args[0]}`,
      command: sqlTool,
      args: ['--database', database, ...args],
      env,
      timeoutMs: schemaTimeoutMs,
    });
  for (const [schema, database] of Object.entries(databaseNames)) {
    if (!(await databaseExists(databaseUrl, database))) {
      await run(database, 'create');
      await run(database, 'setup-schema', '-v', '0.0');
    }
    await run(database, 'update-schema', '--schema-name', `postgresql/v12/${schema}`);
  }
}
