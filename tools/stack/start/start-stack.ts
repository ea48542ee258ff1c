import { mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { freePorts } from '../../processes/ports.js';
import { addressesFile, removeRunFiles } from '../data-files.js';
import { directPort, mapAddress } from '../network-links.js';
import { developmentEnvironment, usesFakes, usesFakeSlack } from '../../settings/development-environment.js';
import { SettingsError, type Settings } from '../../settings/settings.js';
import { waitUntilReady } from '../readiness.js';
import type { Stack, StackAddresses, StackOptions } from '../stack.js';
import { configurationProblems, lockDataDir, portProblems } from './checks.js';
import { baseUrl, externalSystemUrls, fakesUrl, sharedEnvironment } from './environment.js';
import { startDatabase, startTemporal, type StartContext } from './servers.js';
import { startApis, startFakes, startWorkers, type Replica, type ServiceContext } from './services.js';
import { StackProcesses } from './stack-processes.js';

const readyTimeoutMs = 2 * 60_000;

/**
 * Starts the application (worker and API) and everything that it needs: Temporal, PostgreSQL and the fake external
 * systems. Resolves when the API accepts orders.
 *
 * @throws with the problem and its fix. All processes that were started are stopped first.
 */
export async function startStack(settings: Settings, options: StackOptions): Promise<Stack> {
  const { report, durable = true, webUi = true, workerCount = 1, apiCount = 1, metrics = true, signal } = options;
  const { mapPort = directPort, watch = false } = options;
  const logsDir = join(settings.dataDir, 'logs');
  const releaseLock = await lockDataDir(settings.dataDir);
  const processes = new StackProcesses({ report, logsDir, dataDir: settings.dataDir, watch });
  const codecUrl = settings.applicationEnv.PAYLOAD_ENCRYPTION_KEYS && `${baseUrl(settings.host, settings.port)}/codec`;
  const context: StartContext = { settings, processes, report, durable, webUi, codecUrl };

  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      await processes.stop();
      await removeRunFiles(settings.dataDir);
      releaseLock();
    })());
  const beginStep = (text: string): void => {
    signal?.throwIfAborted();
    report.print(text);
  };

  try {
    beginStep('[1/6] Checking the configuration, the ports and the configured servers');
    const problems = [...(await configurationProblems(settings)), ...(await portProblems(settings, webUi))];
    if (problems.length) throw new SettingsError(problems);
    await removeRunFiles(settings.dataDir);
    mkdirSync(logsDir, { recursive: true });

    beginStep('[2/6] Starting Temporal, PostgreSQL and the fake external systems');
    processes.prepare();
    const [temporal, database] = await settleBoth(startTemporal(context), startDatabase(context));
    const workers = await chooseReplicas(settings.workerHealthPort, settings.workerMetricsPort, workerCount);
    const apis = await chooseReplicas(settings.port, settings.metricsPort, apiCount);
    const apiOrigins = apis.map(({ port }) => baseUrl(settings.host, port));
    const apiUrls = await Promise.all(apiOrigins.map((url) => mapAddress(mapPort, 'clients to API', url)));
    const addresses: StackAddresses = {
      ...describeServices(settings, apiUrls as [string, ...string[]], [...apis, ...workers]),
      ...temporal,
      codecUrl,
      databaseUrl: database.databaseUrl,
      ownerDatabaseUrl: database.ownerUrl,
    };
    const env = sharedEnvironment(settings, addresses);

    const services: ServiceContext = { ...context, addresses, env, mapPort };
    // Starts before the setup, so that both load at the same time.
    await startFakes(services, apiOrigins[0]!);

    beginStep('[3/6] Updating the database schema, the namespace and the Search Attributes');
    const ownerEnv = { ...env, DATABASE_URL: database.ownerUrl };
    await processes.runProgram('setup', 'src/setup.ts', { ...ownerEnv, DATABASE_APP_ROLE: database.appRole });

    beginStep('[4/6] Filling the catalogue');
    const catalogue = processes.runProgram('seed', 'tools/stack/seed.ts', ownerEnv);

    beginStep('[5/6] Starting the worker and the API');
    const withMetrics = (replica: Replica) => (metrics ? replica : { ...replica, metricsPort: undefined });
    const startServices = async () => {
      await startWorkers(services, workers.map(withMetrics));
      await startApis(services, apis.map(withMetrics));
    };
    await settleBoth(catalogue, startServices());

    beginStep('[6/6] Waiting until the API accepts orders');
    // The readiness check of an API includes only one worker, so the other workers are checked here.
    const otherWorkers = workers.slice(1).map(({ port }) => `http://127.0.0.1:${port}`);
    for (const url of [...apiUrls, ...otherWorkers])
      await waitUntilReady(url, {
        timeoutMs: readyTimeoutMs,
        findFailure: () => processes.failure ?? (signal?.reason as Error | undefined),
      });
    processes.allowRestarts();

    await writeFile(addressesFile(settings.dataDir), JSON.stringify(addresses, null, 2), { mode: 0o600 });
    return {
      addresses,
      dataDir: settings.dataDir,
      logsDir,
      postgresDataDir: database.postgresDataDir,
      processes: processes.all,
      failed: processes.failed,
      stop,
    };
  } catch (error) {
    await stop();
    throw processes.failure ?? error;
  }
}

/**
 * Returns the ports of `count` processes. The first process gets the configured ports, all other processes get free
 * ports.
 */
async function chooseReplicas(
  port: number,
  metricsPort: number,
  count: number,
): Promise<(Replica & { metricsPort: number })[]> {
  const ports = [port, ...(await freePorts(count - 1))];
  const metricsPorts = [metricsPort, ...(await freePorts(count - 1))];
  return ports.map((each, index) => ({ port: each, metricsPort: metricsPorts[index]! }));
}

/** Returns the addresses that depend only on the settings and the ports. */
function describeServices(
  settings: Settings,
  apiUrls: readonly [string, ...string[]],
  replicas: readonly { metricsPort: number }[],
) {
  const [apiUrl] = apiUrls;
  const { APPROVAL_WEBHOOK_SECRET } = developmentEnvironment(settings, apiUrl);
  return {
    apiUrl,
    apiUrls,
    temporalNamespace: settings.temporalNamespace,
    ...externalSystemUrls(settings),
    carrierWebhookSecret: firstSecret(settings.carrierWebhookSecret),
    approvalWebhookSecret: firstSecret(APPROVAL_WEBHOOK_SECRET),
    mailboxUrl: settings.smtpUrl === undefined ? `${fakesUrl(settings)}/mails` : undefined,
    slackUrl: usesFakeSlack(settings) ? `${fakesUrl(settings)}/slack` : undefined,
    breakItUrl: usesFakes(settings) ? `${fakesUrl(settings)}/break-it` : undefined,
    workerHealthUrl: `http://127.0.0.1:${settings.workerHealthPort}`,
    metricsUrls: [
      ...replicas.map(({ metricsPort }) => `http://127.0.0.1:${metricsPort}/metrics`),
      `http://127.0.0.1:${settings.metricsPort}/metrics/business`,
    ],
  };
}

const firstSecret = (secrets: string): string => secrets.split(',')[0]!.trim();

/** Waits for both promises even if one promise rejects, because `stop` must know all started processes. */
async function settleBoth<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}
