import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from './commands.js';
import { databaseExists } from './databases.js';
import { freeLowPort, freePort } from './ports.js';
import { startProcess, type ManagedProcess } from './processes.js';
import { becomeServing } from './temporal-server.js';
import type { TemporalPrograms } from './temporal-programs.js';
import type { TemporalCredentials } from '../src/temporal/profile.js';

export interface TemporalClusterOptions {
  programs: TemporalPrograms;
  /** Of a PostgreSQL, as a user who may make databases. Temporal keeps its state there, in two databases of its own. */
  databaseUrl: string;
  /** Takes the server's dynamic configuration and its log. */
  folder: string;
  /** Fixed for the life of the databases; 4 unless told. */
  historyShards?: number;
  /** Of the frontend; a free one unless told. */
  port?: number;
  /** Those that the services find each other by, by variable; free ones unless told. A restart keeps its own. */
  servicePorts?: Record<string, string>;
  /** Where the server itself finds the database, if not at the port of `databaseUrl`. */
  databasePort?: number;
  security?: ClusterSecurity;
}

/** Who may connect, and how. Without it, everybody, in plain text. */
export interface ClusterSecurity {
  /** What the server is told of it. */
  env: Record<string, string>;
  /** One who may. */
  credentials: TemporalCredentials;
}

export interface TemporalCluster {
  readonly address: string;
  readonly pid: number;
  readonly process: ManagedProcess;
  stop(): Promise<void>;
}

const databases = { temporal: 'temporal', visibility: 'temporal_visibility' };
const schemaLimitMs = 2 * 60_000;
const stopGraceMs = 30_000;

/** For each of the four services, of which one process has all. */
const connections = {
  SQL_MAX_CONNS: '20',
  SQL_MAX_IDLE_CONNS: '20',
  SQL_VIS_MAX_CONNS: '5',
  SQL_VIS_MAX_IDLE_CONNS: '5',
};

/** What a PostgreSQL has to allow for the cluster alone. */
export const CLUSTER_CONNECTIONS = 4 * (20 + 5);

/** What the server of docker-compose is told; what is tried here is what runs there. */
const deployedConfig = new URL('../deploy/compose/temporal.yaml', import.meta.url);

/** Beside that, what tests need. */
const testConfig = `
# A new namespace is known to all services after this time, by default two seconds: each test file makes one.
system.namespaceCacheRefreshInterval:
  - value: 200ms
# The cache of Search Attributes lives for a minute, and a start that names an unknown one is refused.
system.forceSearchAttributesCacheRefreshOnRead:
  - value: true
# A floor of one second between a start and its continue-as-new; tests begin many runs soon after one another.
history.workflowIdReuseMinimalInterval:
  - value: 0s
`;

/**
 * Starts the full Temporal server, all of its services in one process, on loopback and free ports, with its state in
 * PostgreSQL; its databases are made, or brought up to date, before. Answers when it serves. There is no namespace yet.
 *
 * @throws with the last lines of what went wrong, when the schema cannot be set up or the server does not come up.
 */
export async function startTemporalCluster(options: TemporalClusterOptions): Promise<TemporalCluster> {
  const { programs, databaseUrl, folder, historyShards = 4, security } = options;
  await setUpSchema(programs.sqlTool, databaseUrl);

  const dynamicConfigFile = join(folder, 'temporal-dynamic-config.yaml');
  await writeFile(dynamicConfigFile, (await readFile(deployedConfig, 'utf8')) + testConfig);
  const port = options.port ?? (await freePort());
  const database = new URL(databaseUrl);
  const server = await startProcess({
    name: 'temporal-server',
    command: programs.server,
    args: ['--allow-no-auth', 'start'],
    env: {
      ...withoutOthers,
      DB: 'postgres12',
      POSTGRES_SEEDS: database.hostname,
      DB_PORT: String(options.databasePort ?? database.port),
      POSTGRES_USER: decodeURIComponent(database.username),
      POSTGRES_PWD: decodeURIComponent(database.password),
      DBNAME: databases.temporal,
      VISIBILITY_DBNAME: databases.visibility,
      ...connections,
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
    await becomeServing(server, address, { credentials: security?.credentials });
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

/** Variables by which the server would read another configuration, or run fewer services. */
const withoutOthers = {
  TEMPORAL_ROOT: undefined,
  TEMPORAL_CONFIG_DIR: undefined,
  TEMPORAL_ENVIRONMENT: undefined,
  TEMPORAL_SERVER_CONFIG_FILE_PATH: undefined,
  TEMPORAL_SERVICES: undefined,
};

/** The services talk to each other by gRPC, and find each other by ports that PostgreSQL keeps as `smallint`. */
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

/** Makes what is missing. An update of a schema that is up to date changes nothing. */
async function setUpSchema(sqlTool: string, databaseUrl: string): Promise<void> {
  const { hostname, port, username, password } = new URL(databaseUrl);
  const env = {
    ...{ SQL_PLUGIN: 'postgres12', SQL_HOST: hostname, SQL_PORT: port },
    ...{ SQL_USER: decodeURIComponent(username), SQL_PASSWORD: decodeURIComponent(password) },
  };
  const run = (database: string, ...args: string[]) =>
    runCommand({
      ...{ name: `temporal-sql-tool ${args[0]}`, command: sqlTool, args: ['--database', database, ...args] },
      ...{ env, limitMs: schemaLimitMs },
    });
  for (const [schema, database] of Object.entries(databases)) {
    if (!(await databaseExists(databaseUrl, database))) {
      await run(database, 'create');
      await run(database, 'setup-schema', '-v', '0.0');
    }
    await run(database, 'update-schema', '--schema-name', `postgresql/v12/${schema}`);
  }
}
