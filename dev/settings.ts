import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { describeProblem, type Problem } from '../src/config.js';
import { isAddress, PROFILE_VARIABLES } from '../src/temporal/profile.js';

/** The folder of package.json. */
export const checkout = fileURLToPath(new URL('..', import.meta.url));

/**
 * Signs the played carrier's callbacks. It is public, so it is only for a machine where the carrier is played;
 * a real carrier's secret comes in by CARRIER_WEBHOOK_SECRET.
 */
export const developmentWebhookSecret = 'whsec_ZGV2ZWxvcG1lbnQtb25seS1jYXJyaWVyLXNlY3JldA==';

/** What a worker takes on. */
const workerVariables = [
  'WORKER_QUEUES',
  'WORKER_TUNER',
  'WORKER_TARGET_MEMORY',
  'WORKER_TARGET_CPU',
  'WORKER_ACTIVITIES_AT_ONCE',
  'WORKER_WORKFLOW_TASKS_AT_ONCE',
  'WORKER_CACHED_WORKFLOWS',
  'PAYMENTS_PER_SECOND',
  'TEMPORAL_DEPLOYMENT_NAME',
  'TEMPORAL_WORKER_BUILD_ID',
  'TEMPORAL_CORE_LOG_LEVEL',
] as const;

/** Whether and where traces go. */
const traceVariables = [
  'OTEL_SDK_DISABLED',
  'OTEL_TRACES_EXPORTER',
  'OTEL_TRACES_SAMPLER',
  'OTEL_TRACES_SAMPLER_ARG',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_PROTOCOL',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL',
  'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
  'OTEL_SERVICE_NAME',
  'OTEL_RESOURCE_ATTRIBUTES',
] as const;

/** How Temporal is reached, beside address and namespace. */
const connectionVariables = PROFILE_VARIABLES.filter(
  (name) => name !== 'TEMPORAL_ADDRESS' && name !== 'TEMPORAL_NAMESPACE',
);

/** Where metrics are read: each process has a port of its own. */
const metricsVariables = ['METRICS_HOST', 'METRICS_PORT'] as const;

/** Keeps from a child process what the shell says of those: a worker of a test or a bench has what its caller gives it. */
export const nothingOfTheShell = Object.freeze({
  ...unset(workerVariables),
  ...unset(connectionVariables),
  ...unset(traceVariables),
  ...unset(metricsVariables),
});

/** Variables that the application itself checks (src/config.ts); the stack only knows a default for each. */
const applicationVariables = [
  'MAIL_FROM',
  'PUBLIC_URL',
  'APPROVAL_LINK_SECRET',
  'APPROVAL_WEBHOOK_SECRET',
  'OUTGOING_WEBHOOK_SECRET',
  'CURSOR_SECRET',
  'API_KEYS',
  'JWT_ISSUER',
  'JWT_AUDIENCE',
  'JWT_JWKS_URL',
  'JWT_ID_CLAIM',
  'JWT_ROLES_CLAIM',
  'CORS_ORIGINS',
  'PAYLOAD_ENCRYPTION_KEYS',
  'CODEC_ORIGINS',
  'HSTS_MAX_AGE',
  'RATE_LIMIT_PER_MINUTE',
  'MAX_EVENT_LOOP_DELAY_MS',
  'OUTGOING_ALLOWED_HOSTS',
  'OUTGOING_ALLOW_PRIVATE',
  'ORDER_APPROVAL_THRESHOLD',
  'ORDER_APPROVAL_STAGES',
  'WORKFLOW_BUNDLE',
  ...workerVariables,
  ...connectionVariables,
  ...traceVariables,
] as const;

type MetricsVariable = (typeof metricsVariables)[number];
type ApplicationVariable = (typeof applicationVariables)[number];

/** What a person can change about the development stack. Every value has a default that works on a fresh machine. */
export interface Settings {
  /** Where the API listens. Everything else of the stack stays on loopback. */
  readonly host: string;
  readonly port: number;
  readonly temporalPort: number;
  readonly temporalUiPort: number;
  /** A Temporal service that is already there; no dev server is started then. */
  readonly temporalAddress: string | undefined;
  readonly temporalNamespace: string;
  /** A PostgreSQL that is already there; none is started then. */
  readonly databaseUrl: string | undefined;
  /** Databases, logs, the ledger of the played outside world. Absolute. */
  readonly dataDir: string;
  /** Downloaded and built servers, shared between checkouts. Absolute. */
  readonly cacheDir: string;
  readonly temporalCliPath: string | undefined;
  readonly temporalTestServerPath: string | undefined;
  readonly temporalServerPath: string | undefined;
  /**
   * A Temporal server and a PostgreSQL (as a user who may make databases) that temporary stacks and tests share, each
   * with a namespace and a database of its own, instead of starting their own; `npm run e2e:cluster` sets both.
   */
  readonly cluster: { readonly address: string; readonly databaseUrl: string } | undefined;
  readonly providersPort: number;
  /** A payment gateway, carrier or mail server that is already there. With all, the outside world is not played. */
  readonly paymentsUrl: string | undefined;
  readonly carrierUrl: string | undefined;
  readonly smtpUrl: string | undefined;
  /** Where the played mail server listens. */
  readonly smtpPort: number;
  /** Where the worker tells how it is. */
  readonly workerHealthPort: number;
  /** Where API and worker serve their metrics. */
  readonly metricsPort: number;
  readonly workerMetricsPort: number;
  readonly carrierWebhookSecret: string;
  readonly carrierPickupSeconds: number;
  readonly carrierDeliverySeconds: number;
  readonly logLevel: string;
  /** Those that are set, as they are. */
  readonly application: Readonly<Partial<Record<ApplicationVariable, string>>>;
}

/** Environment variables have values that cannot be used. The message has a line for each, with an example. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super([...new Set(problems.map(describeProblem))].join('\n'));
    this.problems = problems;
  }
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

const port = (byDefault: number) =>
  z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number)
    .refine((value) => value >= 1 && value <= 65_535)
    .default(byDefault);
const seconds = (byDefault: number) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?$/)
    .transform(Number)
    .default(byDefault);
const text = z.string();
const address = text.refine(isAddress);
const url = (...protocols: string[]) =>
  text.refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol));

const PORT_RULE = 'must be an integer from 1 to 65535';

const variables = {
  HOST: rule(text.regex(/^[\w.:%-]+$/).default('127.0.0.1'), 'must be an address or name to listen on', '0.0.0.0'),
  PORT: rule(port(3000), PORT_RULE, '3100'),
  TEMPORAL_PORT: rule(port(7233), PORT_RULE, '7243'),
  TEMPORAL_UI_PORT: rule(port(8233), PORT_RULE, '8243'),
  TEMPORAL_ADDRESS: rule(
    address.optional(),
    'must be host:port, with a port from 1 to 65535',
    'temporal.example.com:7233',
  ),
  TEMPORAL_NAMESPACE: rule(
    text.regex(/^[\w.-]{1,255}$/).default('default'),
    'must be a namespace: letters, digits, dots, dashes and underscores',
    'default',
  ),
  DATABASE_URL: rule(
    url('postgres:', 'postgresql:').optional(),
    'must be a PostgreSQL connection URL',
    'postgres://user:password@127.0.0.1:5432/shop',
    { secret: true },
  ),
  DATA_DIR: rule(text.optional(), 'must be a folder', '.data'),
  CACHE_DIR: rule(text.optional(), 'must be a folder', '~/.cache/workflow-orchestration-patterns'),
  XDG_CACHE_HOME: rule(text.optional(), 'must be a folder', '~/.cache'),
  TEMPORAL_CLI_PATH: rule(text.optional(), 'must be the path of a Temporal CLI', '/usr/local/bin/temporal'),
  TEMPORAL_TEST_SERVER_PATH: rule(
    text.optional(),
    'must be the path of a time-skipping test server',
    '/usr/local/bin/temporal-test-server',
  ),
  TEMPORAL_SERVER_PATH: rule(
    text.optional(),
    'must be the folder of temporal-server and temporal-sql-tool',
    '/usr/local/bin',
  ),
  CLUSTER_ADDRESS: rule(address.optional(), 'must be host:port, with a port from 1 to 65535', '127.0.0.1:7233'),
  CLUSTER_DATABASE_URL: rule(
    url('postgres:', 'postgresql:').optional(),
    'must be a PostgreSQL connection URL',
    'postgres://postgres:password@127.0.0.1:5432/shop',
    { secret: true },
  ),
  PROVIDERS_PORT: rule(port(3001), PORT_RULE, '3101'),
  METRICS_PORT: rule(port(3003), PORT_RULE, '3103'),
  WORKER_METRICS_PORT: rule(port(3004), PORT_RULE, '3104'),
  WORKER_HEALTH_PORT: rule(port(3002), PORT_RULE, '3102'),
  SMTP_PORT: rule(port(3025), PORT_RULE, '3125'),
  SMTP_URL: rule(text.optional(), 'must be an smtp or smtps URL', 'smtp://mail.example.com:587', { secret: true }),
  PAYMENTS_URL: rule(url('http:', 'https:').optional(), 'must be an http or https URL', 'https://payments.example.com'),
  CARRIER_URL: rule(url('http:', 'https:').optional(), 'must be an http or https URL', 'https://carrier.example.com'),
  CARRIER_WEBHOOK_SECRET: rule(
    text
      .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}(\s*,\s*whsec_[A-Za-z0-9+/]{32,}={0,2})?$/)
      .default(developmentWebhookSecret),
    'must be whsec_ and at least 24 bytes in base64, or two of them with a comma between them',
    'whsec_$(openssl rand -base64 32)',
    { secret: true },
  ),
  CARRIER_PICKUP_SECONDS: rule(seconds(1), 'must be a number of seconds', '1'),
  CARRIER_DELIVERY_SECONDS: rule(seconds(3), 'must be a number of seconds', '3'),
  LOG_LEVEL: rule(z.enum(logLevels).default('info'), `must be one of ${logLevels.join(', ')}`, 'debug'),
};

function rule<S extends z.ZodType>(schema: S, problem: string, example: string, { secret = false } = {}) {
  return { schema, problem, example, secret };
}

type Values = { [K in keyof typeof variables]: z.output<(typeof variables)[K]['schema']> };

/** Settings as far as they can be read: a variable whose value cannot be used has its default. */
export interface ReadSettings {
  settings: Settings;
  problems: Problem[];
}

/**
 * The settings of the development stack, as `readSettings` reads them.
 *
 * @throws SettingsError with every problem.
 */
export function loadSettings(env: NodeJS.ProcessEnv = process.env): Settings {
  const { settings, problems } = readSettings(env);
  if (problems.length) throw new SettingsError(problems);
  return settings;
}

/** Reads the settings of the development stack. An empty variable counts as unset. */
export function readSettings(env: NodeJS.ProcessEnv = process.env): ReadSettings {
  const values: Record<string, unknown> = {};
  const problems: Problem[] = [];
  for (const [name, { schema, problem, example, secret }] of Object.entries(variables)) {
    const given = env[name] === '' ? undefined : env[name];
    const parsed = schema.safeParse(given);
    values[name] = parsed.success ? parsed.data : schema.parse(undefined);
    if (!parsed.success) problems.push({ name, problem, got: secret ? undefined : given, example });
  }
  problems.push(...incompleteGroups(env));

  const value = values as Values;
  const cacheHome = value.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const { CLUSTER_ADDRESS: clusterAddress, CLUSTER_DATABASE_URL: clusterDatabaseUrl } = value;
  const settings: Settings = Object.freeze({
    host: value.HOST,
    port: value.PORT,
    temporalPort: value.TEMPORAL_PORT,
    temporalUiPort: value.TEMPORAL_UI_PORT,
    temporalAddress: value.TEMPORAL_ADDRESS,
    temporalNamespace: value.TEMPORAL_NAMESPACE,
    databaseUrl: value.DATABASE_URL,
    dataDir: resolve(checkout, fromHome(value.DATA_DIR ?? '.data')),
    cacheDir: resolve(fromHome(value.CACHE_DIR ?? join(cacheHome, 'workflow-orchestration-patterns'))),
    temporalCliPath: value.TEMPORAL_CLI_PATH,
    temporalTestServerPath: value.TEMPORAL_TEST_SERVER_PATH,
    temporalServerPath: value.TEMPORAL_SERVER_PATH,
    cluster:
      clusterAddress !== undefined && clusterDatabaseUrl !== undefined
        ? Object.freeze({ address: clusterAddress, databaseUrl: clusterDatabaseUrl })
        : undefined,
    providersPort: value.PROVIDERS_PORT,
    paymentsUrl: value.PAYMENTS_URL,
    carrierUrl: value.CARRIER_URL,
    smtpUrl: value.SMTP_URL,
    smtpPort: value.SMTP_PORT,
    workerHealthPort: value.WORKER_HEALTH_PORT,
    metricsPort: value.METRICS_PORT,
    workerMetricsPort: value.WORKER_METRICS_PORT,
    carrierWebhookSecret: value.CARRIER_WEBHOOK_SECRET,
    carrierPickupSeconds: value.CARRIER_PICKUP_SECONDS,
    carrierDeliverySeconds: value.CARRIER_DELIVERY_SECONDS,
    logLevel: value.LOG_LEVEL,
    application: Object.freeze(
      Object.fromEntries(applicationVariables.flatMap((name) => (env[name] ? [[name, env[name]]] : []))),
    ),
  });
  return { settings, problems };
}

/**
 * Variables that need others. A real payment gateway with a fake carrier would take money and ship nothing; a real
 * carrier does not sign its reports with the published secret.
 */
const GROUPS = [
  ['CLUSTER_ADDRESS', ['CLUSTER_DATABASE_URL']],
  ['CLUSTER_DATABASE_URL', ['CLUSTER_ADDRESS']],
  ['PAYMENTS_URL', ['CARRIER_URL']],
  ['CARRIER_URL', ['PAYMENTS_URL', 'CARRIER_WEBHOOK_SECRET']],
] as const;

function incompleteGroups(env: NodeJS.ProcessEnv): Problem[] {
  return GROUPS.flatMap(([given, needed]) =>
    needed
      .filter((name) => env[given] && !env[name])
      .map((name) => ({ name, problem: `is needed with ${given}`, example: variables[name].example })),
  );
}

/**
 * What the application is told of mails, approvals and webhooks: what is set, over defaults for a developer's machine.
 * The secrets among them are public; whoever opens the API to others (HOST) sets secrets of their own.
 */
export function developmentEnvironment(settings: Settings, apiUrl: string) {
  const { smtpUrl, smtpPort, temporalAddress, temporalUiPort, application } = settings;
  const webUiOrigins = ['localhost', '127.0.0.1'].map((host) => `http://${host}:${temporalUiPort}`);
  return {
    SMTP_URL: smtpUrl ?? `smtp://127.0.0.1:${smtpPort}`,
    MAIL_FROM: 'Workflow patterns <no-reply@example.com>',
    PUBLIC_URL: apiUrl,
    APPROVAL_LINK_SECRET: 'development-only-link-secret-0000',
    APPROVAL_WEBHOOK_SECRET: 'whsec_ZGV2ZWxvcG1lbnQtb25seS1hcHByb3ZhbC13ZWJob29rcw==',
    OUTGOING_WEBHOOK_SECRET: 'whsec_ZGV2ZWxvcG1lbnQtb25seS1vdXRnb2luZy13ZWJob29rcw==',
    CURSOR_SECRET: 'development-only-cursor-secret-0',
    OUTGOING_ALLOWED_HOSTS: undefined,
    OUTGOING_ALLOW_PRIVATE: 'true',
    ORDER_APPROVAL_THRESHOLD: '100000',
    ORDER_APPROVAL_STAGES: JSON.stringify([
      aStage('shift-lead', { timeoutSeconds: 86_400, remindEverySeconds: 14_400 }),
      aStage('manager', { timeoutSeconds: 172_800, remindEverySeconds: 43_200 }),
    ]),
    WORKFLOW_BUNDLE: undefined,
    PAYLOAD_ENCRYPTION_KEYS: undefined,
    CODEC_ORIGINS: webUiOrigins.join(','),
    ...nothingOfTheShell,
    ...application,
    // Those of somebody's own server are not for the one that is started here.
    ...(temporalAddress === undefined && unset(connectionVariables)),
  } satisfies Partial<Record<ApplicationVariable | MetricsVariable | 'SMTP_URL', string | undefined>>;
}

/** The secrets that have the values of this file, which everybody knows. */
export function publishedSecrets(settings: Settings): string[] {
  const { application, carrierWebhookSecret } = settings;
  const ours = ['APPROVAL_LINK_SECRET', 'APPROVAL_WEBHOOK_SECRET', 'OUTGOING_WEBHOOK_SECRET', 'CURSOR_SECRET'] as const;
  return [
    ...(carrierWebhookSecret === developmentWebhookSecret ? ['CARRIER_WEBHOOK_SECRET'] : []),
    ...ours.filter((name) => application[name] === undefined),
  ];
}

/** The environment that child processes start from: PATH, HOME, proxies and whatever else this machine needs. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}

function unset<Name extends string>(names: readonly Name[]): Record<Name, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined])) as Record<Name, undefined>;
}

function aStage(approver: string, times: { timeoutSeconds: number; remindEverySeconds: number }) {
  return { approvers: [{ id: approver, email: `${approver}@example.com` }], ...times };
}

function fromHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}
