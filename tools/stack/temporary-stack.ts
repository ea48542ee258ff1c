import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '../processes/ports.js';
import { createTemporaryDatabase, type TemporaryDatabase } from '../servers/postgres/temporary-database.js';
import { silentReporter } from '../terminal/reporter.js';
import { loadSettings, type Settings } from '../settings/settings.js';
import { CLUSTER_REPLICAS, type Stack, type StackOptions } from './stack.js';
import { startStack } from './start/start-stack.js';

const PORT_SETTINGS = [
  'port',
  'temporalPort',
  'temporalUiPort',
  'fakesPort',
  'smtpPort',
  'workerHealthPort',
  'metricsPort',
  'workerMetricsPort',
] as const;

/**
 * Starts an isolated stack on free ports, for a test or a demonstration. `stop` deletes the data of the stack. The
 * stack starts its own servers and ignores servers in the environment, because those servers may hold other data. On a
 * shared cluster (`Settings.sharedServers`), the stack gets its own namespace and database instead, and runs two
 * workers and two APIs.
 */
export async function startTemporaryStack(
  changes: Partial<Settings> = {},
  { report = silentReporter, ...options }: Partial<StackOptions> = {},
): Promise<Stack> {
  const dataDir = await mkdtemp(join(tmpdir(), 'workflow-orchestration-patterns-'));
  let database: TemporaryDatabase | undefined;
  const removeData = async (postgresDataDir?: string): Promise<void> => {
    await database?.drop();
    for (const path of [postgresDataDir, postgresDataDir && `${postgresDataDir}.json`, dataDir])
      if (path) await rm(path, { recursive: true, force: true });
  };
  try {
    // When this process is root, PostgreSQL runs as another user, who must be able to enter this folder.
    await chmod(dataDir, 0o711);
    const loaded = loadSettings();
    const { sharedServers, ...settings } = { ...loaded, ...changes };
    database = sharedServers && (await createTemporaryDatabase(sharedServers.databaseUrl));
    const isolated: Settings = {
      ...settings,
      sharedServers,
      ...(await freeStackPorts()),
      host: '127.0.0.1',
      dataDir,
      databaseUrl: database?.url,
      temporalAddress: sharedServers?.address,
      temporalNamespace: sharedServers ? `stack-${randomUUID()}` : 'default',
      paymentsUrl: undefined,
      carrierUrl: undefined,
      smtpUrl: undefined,
      ...changes,
      applicationEnv: { ...paymentsAdapter(loaded), ...changes.applicationEnv },
    };
    const replicas = sharedServers ? CLUSTER_REPLICAS : 1;
    const stack = await startStack(isolated, {
      durable: false,
      webUi: false,
      report,
      workerCount: replicas,
      apiCount: replicas,
      ...options,
    });
    return { ...stack, stop: () => stack.stop().then(() => removeData(stack.postgresDataDir)) };
  } catch (error) {
    await removeData();
    throw error;
  }
}

/** The adapter to the payment gateway is not a server, so a temporary stack uses the adapter of the environment. */
function paymentsAdapter({
  applicationEnv: { PAYMENTS },
}: Pick<Settings, 'applicationEnv'>): Settings['applicationEnv'] {
  return PAYMENTS === undefined ? {} : { PAYMENTS };
}

/** Returns a free port for each port setting. */
async function freeStackPorts(): Promise<Pick<Settings, (typeof PORT_SETTINGS)[number]>> {
  const ports = await freePorts(PORT_SETTINGS.length);
  return Object.fromEntries(PORT_SETTINGS.map((name, index) => [name, ports[index]])) as never;
}
