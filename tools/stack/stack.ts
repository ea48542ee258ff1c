import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readConfig, type ConfigProblem } from '../../src/config/read.js';
import { checkServers, checkWorkerSettings } from '../../src/startup/checks/index.js';
import type { Listener } from '../../src/startup/checks/ports.js';
import {
  APP_ROLE,
  createTemporaryDatabase,
  createAppRole,
  type TemporaryDatabase,
} from '../servers/postgres/temporary-database.js';
import { mapAddress, directPort, type PortMapper } from './network-links.js';
import { LockHeldError, acquireLock } from '../processes/lock.mjs';
import { duplicatePortProblems, freePort, takenPortProblems } from '../processes/ports.js';
import { startPostgres } from '../servers/postgres/postgres.js';
import { liveProcesses, startProcess, typescriptCommand, type ProcessSpec } from '../processes/processes.js';
import { silentReporter, type Reporter } from '../terminal/reporter.js';
import {
  developmentEnvironment,
  inheritedEnvironment,
  loadSettings,
  SettingsError,
  type Settings,
} from './settings.js';
import { formatImportantLine } from './important-line.js';
import { supervise, type SupervisedProcess } from '../processes/supervisor.js';
import { findTemporalCli } from '../servers/programs/temporal-cli.js';
import { startTemporalDevServer } from '../servers/temporal/temporal-dev-server.js';
import { waitUntil } from '../processes/wait.js';

const setupTimeoutMs = 2 * 60_000;
const readyTimeoutMs = 2 * 60_000;
/** Longer than the worker needs: it waits 20 s by default for running activities and gives up 5 s later. */
const stopGraceMs = 30_000;

/** Number of processes of each kind in tests and checks that need more than one. */
export const CLUSTER_REPLICAS = 2;

export interface StackOptions {
  report: Reporter;
  /** False for tests: Temporal keeps its state in memory, and PostgreSQL does not wait for the disk. */
  durable?: boolean;
  /** False starts no Web UI; for tests. */
  webUi?: boolean;
  /** Number of worker processes and of API processes. Default 1. */
  workerCount?: number;
  apiCount?: number;
  /** False serves no metrics, to measure their cost. */
  metrics?: boolean;
  /** Network links (proxies) between the processes, and between clients and the API. Default: direct connections. */
  mapPort?: PortMapper;
  /** Aborts the start. */
  signal?: AbortSignal;
}

/** The addresses of a running stack. `DATA_DIR/stack.json` holds the same while the stack runs. */
export interface StackAddresses {
  readonly apiUrl: string;
  /** All API processes; `apiUrl` is the first. */
  readonly apiUrls: readonly [string, ...string[]];
  /** The codec endpoint that decrypts payloads for Web UI and CLI; undefined without payload encryption. */
  readonly codecUrl: string | undefined;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly databaseUrl: string;
  /** The same database, as the owner of the schema. */
  readonly ownerDatabaseUrl: string;
  readonly webUiUrl: string | undefined;
  readonly paymentsUrl: string;
  readonly carrierUrl: string;
  readonly carrierWebhookSecret: string;
  /** The secret to sign with: the first when two are configured. */
  readonly approvalWebhookSecret: string;
  /** The page that shows the received mails, when the stack runs the fake mailbox. */
  readonly mailboxUrl: string | undefined;
  readonly workerHealthUrl: string;
  /** The metrics pages: one for each API process, one for each worker, and one with business metrics. */
  readonly metricsUrls: readonly string[];
  /** Path of the `temporal` CLI, when the stack found one. */
  readonly temporalCliPath: string | undefined;
}

export interface Stack {
  readonly addresses: StackAddresses;
  readonly dataDir: string;
  readonly logsDir: string;
  /** PostgreSQL's data folder, when the stack started PostgreSQL. */
  readonly postgresDataDir: string | undefined;
  /**
   * The parts that the stack started, by name: api, worker, providers, temporal, postgres, and replicas (api-2,
   * worker-2, …).
   */
  readonly processes: ReadonlyMap<ProcessName, SupervisedProcess>;
  /** Resolves with the reason when a part fails and is not restarted. */
  readonly failed: Promise<Error>;
  /** Stops all parts in order and waits until they have ended. */
  stop(): Promise<void>;
}

type ProcessKind = 'api' | 'worker' | 'fakes' | 'temporal' | 'postgres';
export type ProcessName = ProcessKind | `${'api' | 'worker'}-${number}`;

/** Stops the processes that accept work first and those that keep state last. */
const stopOrder: readonly ProcessKind[] = ['api', 'worker', 'fakes', 'temporal', 'postgres'];

/**
 * Starts the application (worker and API) and everything that it needs: Temporal, PostgreSQL and the fake external
 * systems. Resolves when the API is ready for orders.
 *
 * @throws with what is wrong and how to fix it, after it has stopped every part that it had started.
 */
export async function startStack(settings: Settings, options: StackOptions): Promise<Stack> {
  const { report, durable = true, webUi = true, workerCount = 1, apiCount = 1, metrics = true, signal } = options;
  const { mapPort = directPort } = options;
  const codecUrl = settings.applicationEnv.PAYLOAD_ENCRYPTION_KEYS && `${baseUrl(settings.host, settings.port)}/codec`;
  const parts = new Map<ProcessName, SupervisedProcess>();
  const logsDir = join(settings.dataDir, 'logs');
  const release = await lockDataDir(settings.dataDir);

  let ready = false;
  let stopping: Promise<void> | undefined;
  let failure: Error | undefined;
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = (error) => {
      failure ??= error;
      resolve(failure);
    };
  });

  const stop = (): Promise<void> =>
    (stopping ??= (async () => {
      for (const kind of stopOrder) {
        const ofKind = [...parts].filter(([name]) => name === kind || name.startsWith(`${kind}-`));
        for (const [name] of ofKind) report.print(`stopping ${name}`);
        await Promise.all(ofKind.map(([, part]) => part.stop(stopGraceMs)));
      }
      await rm(join(settings.dataDir, 'stack.json'), { force: true });
      release();
    })());

  const logged = (name: string, spec: Omit<ProcessSpec, 'name'>): ProcessSpec => ({
    ...spec,
    name,
    graceMs: stopGraceMs,
    logFile: join(logsDir, `${name}.log`),
    onLine: (line, stream) => {
      const shown = stopping ? undefined : formatImportantLine(line, stream);
      if (shown !== undefined) report.print(`${name} | ${shown}`);
    },
  });
  const add = async (
    name: ProcessName,
    start: Parameters<typeof supervise>[0]['start'],
    mayRestart = true,
  ): Promise<SupervisedProcess> => {
    const part = await supervise({
      name,
      start,
      report,
      onFailure: fail,
      mayRestart: () => ready && mayRestart,
    });
    parts.set(name, part);
    return part;
  };
  const runOnce = async (name: string, file: string, env: ProcessSpec['env']): Promise<void> => {
    const child = await startProcess(logged(name, { ...typescriptCommand(file), ...(env ? { env } : {}) }));
    const limit = setTimeout(() => void child.stop(), setupTimeoutMs);
    const { code, signal } = await child.exited.finally(() => clearTimeout(limit));
    if (code !== 0)
      throw new Error(`${name} ended ${signal ? `by ${signal}` : `with code ${code}`}:\n${child.lastOutput()}`);
  };

  const step = (text: string): void => {
    signal?.throwIfAborted();
    report.print(text);
  };

  let databasePlace: string | undefined;
  let temporalCli: string | undefined;

  const startTemporal = async (): Promise<Pick<StackAddresses, 'temporalAddress' | 'webUiUrl'>> => {
    if (settings.temporalAddress !== undefined) {
      report.print(`      Temporal is at ${settings.temporalAddress}, none is started`);
      return { temporalAddress: settings.temporalAddress, webUiUrl: undefined };
    }
    const cli = await findTemporalCli({ settings, report });
    temporalCli = cli.path;
    const start = () =>
      startTemporalDevServer({
        cliPath: cli.path,
        port: settings.temporalPort,
        namespace: settings.temporalNamespace,
        logFile: join(logsDir, 'temporal.log'),
        ...(webUi ? { uiPort: settings.temporalUiPort } : {}),
        ...(webUi && codecUrl !== undefined ? { codecEndpoint: codecUrl } : {}),
        ...(durable ? { dbFile: join(settings.dataDir, 'temporal', 'temporal.db') } : {}),
      });
    let first: Awaited<ReturnType<typeof start>> | undefined;
    await add('temporal', async () => (first = await start()).process, durable);
    report.print(`      Temporal serves on ${first?.address} (${cli.version}, from ${cli.source})`);
    return { temporalAddress: `127.0.0.1:${settings.temporalPort}`, webUiUrl: first?.uiUrl };
  };

  const startDatabase = async (): Promise<{ ownerUrl: string; databaseUrl: string; role?: string }> => {
    if (settings.databaseUrl !== undefined) {
      report.print('      PostgreSQL is the one of DATABASE_URL, none is started');
      return { ownerUrl: settings.databaseUrl, databaseUrl: settings.databaseUrl };
    }
    const port = await freePort();
    let url = '';
    await add('postgres', async () => {
      const server = await startPostgres({
        dataDir: join(settings.dataDir, 'postgres'),
        port,
        report,
        durable,
        logFile: join(logsDir, 'postgres.log'),
      });
      url = server.url;
      databasePlace = server.dataDir;
      return server.process;
    });
    report.print(`      PostgreSQL answers on 127.0.0.1:${port}`);
    return { ownerUrl: url, databaseUrl: await createAppRole(url), role: APP_ROLE };
  };

  try {
    step('[1/6] Checking the configuration, the ports and the servers that are given');
    const problems = [...(await configurationProblems(settings)), ...(await portProblems(settings, webUi))];
    if (problems.length) throw new SettingsError(problems);
    await rm(join(settings.dataDir, 'stack.json'), { force: true });
    mkdirSync(logsDir, { recursive: true });

    step('[2/6] Starting Temporal and PostgreSQL');
    const [temporal, { ownerUrl, databaseUrl, role }] = await settleBoth(startTemporal(), startDatabase());

    const api = [settings.port, ...(await freePorts(apiCount - 1))];
    const health = [settings.workerHealthPort, ...(await freePorts(workerCount - 1))];
    const apiMetrics = [settings.metricsPort, ...(await freePorts(apiCount - 1))];
    const workerMetrics = [settings.workerMetricsPort, ...(await freePorts(workerCount - 1))];
    const ownUrls = api.map((port) => baseUrl(settings.host, port));
    const apiUrls = (await Promise.all(ownUrls.map((url) => mapAddress(mapPort, 'clients to API', url)))) as [
      string,
      ...string[],
    ];
    const [apiUrl] = apiUrls;
    const { APPROVAL_WEBHOOK_SECRET } = developmentEnvironment(settings, apiUrl);
    const addresses: StackAddresses = {
      apiUrl,
      apiUrls,
      codecUrl,
      ...temporal,
      temporalNamespace: settings.temporalNamespace,
      databaseUrl,
      ownerDatabaseUrl: ownerUrl,
      ...externalSystemUrls(settings),
      carrierWebhookSecret: settings.carrierWebhookSecret.split(',')[0]!.trim(),
      approvalWebhookSecret: APPROVAL_WEBHOOK_SECRET.split(',')[0]!.trim(),
      mailboxUrl: settings.smtpUrl === undefined ? `${fakesUrl(settings)}/mails` : undefined,
      workerHealthUrl: `http://127.0.0.1:${settings.workerHealthPort}`,
      metricsUrls: [
        ...[...apiMetrics, ...workerMetrics].map((port) => `http://127.0.0.1:${port}/metrics`),
        `http://127.0.0.1:${settings.metricsPort}/metrics/business`,
      ],
      temporalCliPath: temporalCli,
    };
    const env = sharedEnvironment(settings, addresses);

    step('[3/6] Bringing the database schema, the namespace and the Search Attributes up to date');
    const asOwner = { ...env, DATABASE_URL: ownerUrl };
    await runOnce('setup', 'src/setup.ts', { ...asOwner, DATABASE_APP_ROLE: role });

    step('[4/6] Filling the catalogue');
    await runOnce('seed', 'tools/stack/seed.ts', asOwner);

    step('[5/6] Starting the outside world, the worker and the API');
    const service = (name: ProcessName, file: string, more: ProcessSpec['env'] = {}) =>
      add(name, () => startProcess(logged(name, { ...typescriptCommand(file), env: { ...env, ...more } })));
    if (usesFakes(settings)) {
      await service('fakes', 'tools/fakes/main.ts', {
        FAKES_HOST: '127.0.0.1',
        FAKES_PORT: String(settings.fakesPort),
        FAKES_LEDGER_PATH: join(settings.dataDir, 'fakes', 'ledger.jsonl'),
        FAKES_SMTP_PORT: settings.smtpUrl === undefined ? String(settings.smtpPort) : 'none',
        FAKES_MAILBOX_DIR: join(settings.dataDir, 'fakes', 'mails'),
        CARRIER_WEBHOOK_SECRET: addresses.carrierWebhookSecret,
        CARRIER_CALLBACK_URL: `${await mapAddress(mapPort, 'carrier to API', ownUrls[0]!)}/v1/callbacks/shipments`,
        FAKE_CARRIER_PICKUP_SECONDS: String(settings.carrierPickupSeconds),
        FAKE_CARRIER_DELIVERY_SECONDS: String(settings.carrierDeliverySeconds),
      });
    } else report.print('      PAYMENTS_URL, CARRIER_URL and SMTP_URL are set, the outside world is not played');
    const found = async (caller: 'worker' | 'API') => ({
      TEMPORAL_ADDRESS: await mapAddress(mapPort, `${caller} to Temporal`, temporal.temporalAddress),
      DATABASE_URL: await mapAddress(mapPort, `${caller} to PostgreSQL`, databaseUrl),
    });
    const foundByWorker = {
      ...(await found('worker')),
      ...(await partnerUrls(mapPort, addresses)),
    };
    const foundByApi = await found('API');
    const numbered = (name: 'worker' | 'api', index: number): ProcessName =>
      index === 0 ? name : `${name}-${index + 1}`;
    for (const [index, port] of health.entries())
      await service(numbered('worker', index), 'src/worker.ts', {
        ...foundByWorker,
        HEALTH_PORT: String(port),
        ...(metrics && { METRICS_PORT: String(workerMetrics[index]) }),
      });
    for (const [index, port] of api.entries())
      await service(numbered('api', index), 'src/api/server.ts', {
        ...foundByApi,
        PORT: String(port),
        ...(metrics && { METRICS_PORT: String(apiMetrics[index]) }),
      });

    step('[6/6] Waiting until orders can be taken');
    const others = health.slice(1).map((port) => `http://127.0.0.1:${port}`);
    for (const url of [...apiUrls, ...others])
      await waitUntilReady(url, () => failure ?? (signal?.reason as Error | undefined));
    ready = true;

    await writeFile(join(settings.dataDir, 'stack.json'), JSON.stringify(addresses, null, 2), { mode: 0o600 });
    return {
      addresses,
      dataDir: settings.dataDir,
      logsDir,
      postgresDataDir: databasePlace,
      processes: parts,
      failed,
      stop,
    };
  } catch (error) {
    await stop();
    throw failure ?? error;
  }
}

/**
 * Starts an isolated stack for a test or a demonstration, on free ports; `stop` deletes its data. It starts its own
 * servers and ignores servers named in the environment, because those hold other people's data. On a shared cluster
 * (`Settings.cluster`) it instead gets its own namespace and database, and two processes each of worker and API.
 */
export async function startTemporaryStack(
  changes: Partial<Settings> = {},
  { report = silentReporter, ...options }: Partial<StackOptions> = {},
): Promise<Stack> {
  const dataDir = await mkdtemp(join(tmpdir(), 'workflow-orchestration-patterns-'));
  let database: TemporaryDatabase | undefined;
  const remove = async (place?: string): Promise<void> => {
    await database?.drop();
    for (const path of [place, place && `${place}.json`, dataDir])
      if (path) await rm(path, { recursive: true, force: true });
  };
  try {
    // When this process is root, PostgreSQL runs as another user, who must be able to traverse this folder.
    await chmod(dataDir, 0o711);
    const names = [
      ...(['port', 'temporalPort', 'temporalUiPort', 'fakesPort', 'smtpPort'] as const),
      ...(['workerHealthPort', 'metricsPort', 'workerMetricsPort'] as const),
    ];
    const ports = await freePorts(names.length);
    const { sharedServers, ...settings } = { ...loadSettings(), ...changes };
    database = sharedServers && (await createTemporaryDatabase(sharedServers.databaseUrl));
    const own: Settings = {
      ...settings,
      sharedServers,
      ...Object.fromEntries(names.map((name, index) => [name, ports[index]])),
      host: '127.0.0.1',
      dataDir,
      databaseUrl: database?.url,
      temporalAddress: sharedServers?.address,
      temporalNamespace: sharedServers ? `stack-${randomUUID()}` : 'default',
      paymentsUrl: undefined,
      carrierUrl: undefined,
      smtpUrl: undefined,
      applicationEnv: {},
      ...changes,
    };
    const replicas = sharedServers ? CLUSTER_REPLICAS : 1;
    const stack = await startStack(own, {
      durable: false,
      webUi: false,
      report,
      workerCount: replicas,
      apiCount: replicas,
      ...options,
    });
    return { ...stack, stop: () => stack.stop().then(() => remove(stack.postgresDataDir)) };
  } catch (error) {
    await remove();
    throw error;
  }
}

const fakesUrl = ({ fakesPort }: Settings) => `http://127.0.0.1:${fakesPort}`;

const externalSystemUrls = (settings: Settings) => ({
  paymentsUrl: settings.paymentsUrl ?? `${fakesUrl(settings)}/payments`,
  carrierUrl: settings.carrierUrl ?? `${fakesUrl(settings)}/carrier`,
});

type ServiceAddresses = Pick<
  StackAddresses,
  'apiUrl' | 'temporalAddress' | 'databaseUrl' | 'paymentsUrl' | 'carrierUrl'
>;

/** The environment that worker and API share. */
function sharedEnvironment(
  settings: Settings,
  { apiUrl, ...reached }: ServiceAddresses,
): Record<string, string | undefined> {
  return {
    HOST: settings.host,
    DATABASE_URL: reached.databaseUrl,
    TEMPORAL_ADDRESS: reached.temporalAddress,
    TEMPORAL_NAMESPACE: settings.temporalNamespace,
    PAYMENTS_URL: reached.paymentsUrl,
    CARRIER_URL: reached.carrierUrl,
    CARRIER_WEBHOOK_SECRET: settings.carrierWebhookSecret,
    LOG_LEVEL: settings.logLevel,
    ...developmentEnvironment(settings, apiUrl),
  };
}

/**
 * Finds what would keep worker, API or setup from starting, as far as this is known before the stack starts any server:
 * invalid variables, and configured servers that do not answer.
 */
export async function configurationProblems(settings: Settings): Promise<ConfigProblem[]> {
  const env = {
    ...inheritedEnvironment(),
    ...sharedEnvironment(settings, {
      apiUrl: baseUrl(settings.host, settings.port),
      temporalAddress: settings.temporalAddress ?? `127.0.0.1:${settings.temporalPort}`,
      // A placeholder: the real URL is known only once PostgreSQL runs.
      databaseUrl: settings.databaseUrl ?? 'postgres://127.0.0.1',
      ...externalSystemUrls(settings),
    }),
  };
  const worker = readConfig('worker', {
    ...env,
    HEALTH_PORT: String(settings.workerHealthPort),
    METRICS_PORT: String(settings.workerMetricsPort),
  });
  const api = readConfig('api', { ...env, PORT: String(settings.port), METRICS_PORT: String(settings.metricsPort) });
  const { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS } = worker.values;
  // Checks the servers as `setup` does, because the setup step of this start creates what is missing on them.
  const [ofServers, ofCli] = await Promise.all([
    checkServers('setup', {
      DATABASE_URL: settings.databaseUrl,
      ...(settings.temporalAddress !== undefined && { TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_CREDENTIALS }),
    }),
    cliProblems(settings),
  ]);
  // The development stack uses its own names for the ports.
  const ofPorts = ({ name }: ConfigProblem) => ['PORT', 'HEALTH_PORT', 'METRICS_PORT'].includes(name);
  return [
    ...[...worker.problems, ...api.problems].filter((problem) => !ofPorts(problem)),
    ...checkWorkerSettings(worker.values),
    ...ofServers,
    ...ofCli,
  ];
}

/** A configured CLI that does not work is a problem; the stack does not search for another one. */
async function cliProblems(settings: Settings): Promise<readonly ConfigProblem[]> {
  if (settings.temporalAddress !== undefined || settings.temporalCliPath === undefined) return [];
  return await findTemporalCli({ settings, report: silentReporter }).then(
    () => [],
    (error: unknown) => {
      if (error instanceof SettingsError) return error.problems;
      throw error;
    },
  );
}

/** Stops every process that still runs, including those that are still starting. */
export async function stopLiveProcesses(): Promise<void> {
  await Promise.all(liveProcesses().map((child) => child.stop()));
}

async function lockDataDir(dataDir: string): Promise<() => void> {
  try {
    return await acquireLock(join(dataDir, 'stack.lock'));
  } catch (error) {
    if (error instanceof LockHeldError)
      throw new Error(
        `A stack is already running on ${dataDir} (process ${error.ownerPid}). ` +
          `Stop that one, or give this one a folder and ports of its own: DATA_DIR, PORT, TEMPORAL_PORT, TEMPORAL_UI_PORT, FAKES_PORT, FAKES_SMTP_PORT, WORKER_HEALTH_PORT, METRICS_PORT, WORKER_METRICS_PORT`,
        { cause: error },
      );
    throw new Error(`DATA_DIR ${dataDir} cannot be written to: ${(error as Error).message}`, { cause: error });
  }
}

async function portProblems(settings: Settings, webUi: boolean): Promise<ConfigProblem[]> {
  const listener = (portVariable: string, port: number): Listener => ({ host: '127.0.0.1', port, portVariable });
  const listeners: Listener[] = [
    { host: settings.host, port: settings.port, hostVariable: 'HOST', portVariable: 'PORT' },
    ...(settings.temporalAddress === undefined
      ? [
          listener('TEMPORAL_PORT', settings.temporalPort),
          ...(webUi ? [listener('TEMPORAL_UI_PORT', settings.temporalUiPort)] : []),
        ]
      : []),
    listener('WORKER_HEALTH_PORT', settings.workerHealthPort),
    listener('METRICS_PORT', settings.metricsPort),
    listener('WORKER_METRICS_PORT', settings.workerMetricsPort),
    ...(usesFakes(settings) ? [listener('FAKES_PORT', settings.fakesPort)] : []),
    ...(settings.smtpUrl === undefined ? [listener('FAKES_SMTP_PORT', settings.smtpPort)] : []),
  ];
  return [...duplicatePortProblems(listeners), ...(await takenPortProblems(listeners))];
}

function usesFakes({ paymentsUrl, carrierUrl, smtpUrl }: Settings): boolean {
  return [paymentsUrl, carrierUrl, smtpUrl].includes(undefined);
}

async function freePorts(count: number): Promise<number[]> {
  return await Promise.all(Array.from({ length: count }, () => freePort()));
}

/** The fake payment gateway and carrier are one process, so both use the same link. */
async function partnerUrls(throughLinks: PortMapper, { paymentsUrl, carrierUrl }: StackAddresses) {
  const { origin } = new URL(paymentsUrl);
  const way = await mapAddress(throughLinks, 'worker to payments and carrier', origin);
  return { PAYMENTS_URL: paymentsUrl.replace(origin, way), CARRIER_URL: carrierUrl.replace(origin, way) };
}

/** Waits for both, even if one fails: `stop` must know everything that was started. */
async function settleBoth<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

async function waitUntilReady(url: string, failure: () => Error | undefined): Promise<void> {
  await waitUntil(
    async () => {
      const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(5_000) });
      const body = await answer.text();
      if (answer.status !== 200) throw new Error(`it says ${answer.status} ${body.slice(0, 500)}`);
      return true;
    },
    {
      description: `${url}/readyz saying that it is ready`,
      timeoutMs: readyTimeoutMs,
      intervalMs: 200,
      throwIfFailed: () => {
        const error = failure();
        if (error) throw error;
      },
    },
  );
}

/** A listen address such as 0.0.0.0 is not always an address to connect to. */
function baseUrl(host: string, port: number): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}
