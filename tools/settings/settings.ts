import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { formatConfigProblem, type ConfigProblem } from '../../src/config/errors.js';
import { applicationVariables, type ApplicationVariable } from './application-variables.js';
import { projectRoot } from './environment.js';
import { variableRules, type VariableValues } from './variable-rules.js';

/** The settings of the development stack. Every setting has a default that works on a fresh machine. */
export interface Settings {
  /** The API's listen address. All other parts of the stack listen on loopback. */
  readonly host: string;
  readonly port: number;
  readonly temporalPort: number;
  readonly temporalUiPort: number;
  /** Address of an existing Temporal service. If set, the stack starts no dev server. */
  readonly temporalAddress: string | undefined;
  readonly temporalNamespace: string;
  /** URL of an existing PostgreSQL server. If set, the stack starts no PostgreSQL. */
  readonly databaseUrl: string | undefined;
  /** Absolute path of the folder for databases, logs and the ledger of the fake external systems. */
  readonly dataDir: string;
  /** Absolute path of the folder for downloaded and built servers. All checkouts share this folder. */
  readonly cacheDir: string;
  readonly temporalCliPath: string | undefined;
  readonly temporalTestServerPath: string | undefined;
  readonly temporalServerPath: string | undefined;
  /**
   * A Temporal server and a PostgreSQL server that temporary stacks and tests share. The PostgreSQL user may create
   * databases. Each stack gets its own namespace and database instead of its own servers. `npm run e2e:cluster` sets
   * both addresses.
   */
  readonly sharedServers: { readonly address: string; readonly databaseUrl: string } | undefined;
  readonly fakesPort: number;
  /**
   * URLs of an existing payment gateway, carrier and mail server. If all three URLs are set, the stack runs no fake
   * external systems.
   */
  readonly paymentsUrl: string | undefined;
  readonly carrierUrl: string | undefined;
  readonly smtpUrl: string | undefined;
  /** Port of the fake mail server. */
  readonly smtpPort: number;
  /** Port of the worker's health endpoint. */
  readonly workerHealthPort: number;
  /** Ports on which API and worker serve metrics. */
  readonly metricsPort: number;
  readonly workerMetricsPort: number;
  readonly carrierWebhookSecret: string;
  readonly carrierPickupSeconds: number;
  readonly carrierDeliverySeconds: number;
  readonly logLevel: string;
  /** The application's variables that are set, with unchanged values. */
  readonly applicationEnv: Readonly<Partial<Record<ApplicationVariable, string>>>;
}

/** Thrown for invalid environment variables. The message has one line with an example per variable. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super([...new Set(problems.map(formatConfigProblem))].join('\n'));
    this.problems = problems;
  }
}

/** The settings and the problems. In `settings`, an invalid variable has its default value. */
export interface SettingsResult {
  settings: Settings;
  problems: ConfigProblem[];
}

/**
 * Reads the settings of the development stack, like `readSettings`.
 *
 * @throws SettingsError with all problems.
 */
export function loadSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const { settings, problems } = readSettings(env);
  if (problems.length) throw new SettingsError(problems);
  return settings;
}

/** Reads the settings of the development stack. An empty variable counts as unset. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): SettingsResult {
  const values: Record<string, unknown> = {};
  const problems: ConfigProblem[] = [];
  for (const [name, { schema, problem, example, secret }] of Object.entries(variableRules)) {
    const given = env[name] === '' ? undefined : env[name];
    const parsed = schema.safeParse(given);
    values[name] = parsed.success ? parsed.data : schema.parse(undefined);
    if (!parsed.success) problems.push({ name, problem, got: secret ? undefined : given, example });
  }
  problems.push(...missingVariableProblems(env));

  const value = values as VariableValues;
  const cacheHome = value.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const offset = value.PORT_OFFSET;
  /** The given port, or the default port with the offset. */
  const portOf = (name: PortVariable): number => (env[name] ? value[name] : value[name] + offset);
  const defaultDataDir = offset === 0 ? '.data' : `.data/port-offset-${offset}`;
  const { SHARED_TEMPORAL_ADDRESS: clusterAddress, SHARED_DATABASE_URL: clusterDatabaseUrl } = value;
  const settings: Settings = Object.freeze({
    host: value.HOST,
    port: portOf('PORT'),
    temporalPort: portOf('TEMPORAL_PORT'),
    temporalUiPort: portOf('TEMPORAL_UI_PORT'),
    temporalAddress: value.TEMPORAL_ADDRESS,
    temporalNamespace: value.TEMPORAL_NAMESPACE,
    databaseUrl: value.DATABASE_URL,
    dataDir: resolve(projectRoot, expandHome(value.DATA_DIR ?? defaultDataDir)),
    cacheDir: resolve(expandHome(value.CACHE_DIR ?? join(cacheHome, 'workflow-orchestration-patterns'))),
    temporalCliPath: value.TEMPORAL_CLI_PATH,
    temporalTestServerPath: value.TEMPORAL_TEST_SERVER_PATH,
    temporalServerPath: value.TEMPORAL_SERVER_PATH,
    sharedServers:
      clusterAddress !== undefined && clusterDatabaseUrl !== undefined
        ? Object.freeze({ address: clusterAddress, databaseUrl: clusterDatabaseUrl })
        : undefined,
    fakesPort: portOf('FAKES_PORT'),
    paymentsUrl: value.PAYMENTS_URL,
    carrierUrl: value.CARRIER_URL,
    smtpUrl: value.SMTP_URL,
    smtpPort: portOf('FAKES_SMTP_PORT'),
    workerHealthPort: portOf('WORKER_HEALTH_PORT'),
    metricsPort: portOf('METRICS_PORT'),
    workerMetricsPort: portOf('WORKER_METRICS_PORT'),
    carrierWebhookSecret: value.CARRIER_WEBHOOK_SECRET,
    carrierPickupSeconds: value.FAKE_CARRIER_PICKUP_SECONDS,
    carrierDeliverySeconds: value.FAKE_CARRIER_DELIVERY_SECONDS,
    logLevel: value.LOG_LEVEL,
    applicationEnv: Object.freeze(
      Object.fromEntries(applicationVariables.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
    ),
  });
  return { settings, problems };
}

type PortVariable = keyof { [Name in keyof VariableValues as Name extends `${string}PORT` ? Name : never]: Name };

/**
 * Variables that require other variables. A real payment gateway with a fake carrier would take money and ship nothing.
 * A real carrier does not sign its reports with the public default secret.
 */
const REQUIRED_TOGETHER = [
  ['SHARED_TEMPORAL_ADDRESS', ['SHARED_DATABASE_URL']],
  ['SHARED_DATABASE_URL', ['SHARED_TEMPORAL_ADDRESS']],
  ['PAYMENTS_URL', ['CARRIER_URL']],
  ['CARRIER_URL', ['PAYMENTS_URL', 'CARRIER_WEBHOOK_SECRET']],
] as const;

function missingVariableProblems(env: NodeJS.ProcessEnv): ConfigProblem[] {
  return REQUIRED_TOGETHER.flatMap(([given, needed]) =>
    needed
      .filter((name) => env[given] && !env[name])
      .filter((name) => name !== 'PAYMENTS_URL' || env.PAYMENTS !== 'stripe')
      .map((name) => ({ name, problem: `must be set when ${given} is set`, example: variableRules[name].example })),
  );
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}
