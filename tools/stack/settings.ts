import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { formatConfigProblem, type ConfigProblem } from '../../src/config/read.js';
import { isHostPort, PROFILE_VARIABLES } from '../../src/temporal/connection-profile.js';

/** The folder of package.json. */
export const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Signs the fake carrier's callbacks. The secret is public, so use it only with the fake carrier; set a real carrier's
 * secret with CARRIER_WEBHOOK_SECRET.
 */
export const developmentWebhookSecret = 'whsec_ZGV2ZWxvcG1lbnQtb25seS1jYXJyaWVyLXNlY3JldA==';

/** Limits the work that a worker takes. */
const workerVariables = [
  'WORKER_TASK_QUEUES',
  'WORKER_TUNER',
  'WORKER_TARGET_MEMORY',
  'WORKER_TARGET_CPU',
  'WORKER_MAX_CONCURRENT_ACTIVITIES',
  'WORKER_MAX_CONCURRENT_WORKFLOW_TASKS',
  'WORKER_MAX_CACHED_WORKFLOWS',
  'PAYMENTS_PER_SECOND',
  'TEMPORAL_DEPLOYMENT_NAME',
  'TEMPORAL_WORKER_BUILD_ID',
  'TEMPORAL_CORE_LOG_LEVEL',
] as const;

/** Configure whether and where traces are exported. */
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

/** How to connect to Temporal, apart from address and namespace. */
const connectionVariables = PROFILE_VARIABLES.filter(
  (name) => name !== 'TEMPORAL_ADDRESS' && name !== 'TEMPORAL_NAMESPACE',
);

/** Each process serves its metrics on its own port. */
const metricsVariables = ['METRICS_HOST', 'METRICS_PORT'] as const;

/**
 * Removes these variables of the shell from a child process: a worker of a test or benchmark gets only what its caller
 * sets.
 */
export const unsetShellVariables = Object.freeze({
  ...unsetAll(workerVariables),
  ...unsetAll(connectionVariables),
  ...unsetAll(traceVariables),
  ...unsetAll(metricsVariables),
});

/** Variables that the application itself validates (src/config/); the stack only has a default for each. */
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

/** The settings of the development stack. Every setting has a default that works on a fresh machine. */
export interface Settings {
  /** The API's listen address. All other parts of the stack listen on loopback. */
  readonly host: string;
  readonly port: number;
  readonly temporalPort: number;
  readonly temporalUiPort: number;
  /** An existing Temporal service; the stack then starts no dev server. */
  readonly temporalAddress: string | undefined;
  readonly temporalNamespace: string;
  /** An existing PostgreSQL; the stack then starts none. */
  readonly databaseUrl: string | undefined;
  /** Absolute path of databases, logs and the ledger of the fake external systems. */
  readonly dataDir: string;
  /** Absolute path of downloaded and built servers, shared between checkouts. */
  readonly cacheDir: string;
  readonly temporalCliPath: string | undefined;
  readonly temporalTestServerPath: string | undefined;
  readonly temporalServerPath: string | undefined;
  /**
   * A Temporal server and a PostgreSQL (as a user who may create databases) that temporary stacks and tests share. Each
   * gets its own namespace and database instead of its own servers. `npm run e2e:cluster` sets both.
   */
  readonly sharedServers: { readonly address: string; readonly databaseUrl: string } | undefined;
  readonly fakesPort: number;
  /**
   * An existing payment gateway, carrier or mail server. When all three are set, the stack runs no fake external
   * systems.
   */
  readonly paymentsUrl: string | undefined;
  readonly carrierUrl: string | undefined;
  readonly smtpUrl: string | undefined;
  /** Port of the fake mail server. */
  readonly smtpPort: number;
  /** Port of the worker's health endpoint. */
  readonly workerHealthPort: number;
  /** Ports of the metrics of API and worker. */
  readonly metricsPort: number;
  readonly workerMetricsPort: number;
  readonly carrierWebhookSecret: string;
  readonly carrierPickupSeconds: number;
  readonly carrierDeliverySeconds: number;
  readonly logLevel: string;
  /** The application's variables that are set, unchanged. */
  readonly applicationEnv: Readonly<Partial<Record<ApplicationVariable, string>>>;
}

/** Environment variables with invalid values. The message has one line for each, with an example. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError';
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super([...new Set(problems.map(formatConfigProblem))].join('\n'));
    this.problems = problems;
  }
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

const portSchema = (byDefault: number) =>
  z
    .string()
    .regex(/^\d{1,5}$/)
    .transform(Number)
    .refine((value) => value >= 1 && value <= 65_535)
    .default(byDefault);
const secondsSchema = (byDefault: number) =>
  z
    .string()
    .regex(/^\d+(\.\d+)?$/)
    .transform(Number)
    .default(byDefault);
const textSchema = z.string();
const addressSchema = textSchema.refine(isHostPort);
const urlSchema = (...protocols: string[]) =>
  textSchema.refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol));

const PORT_MESSAGE = 'must be an integer from 1 to 65535';

const variableRules = {
  HOST: defineVariable(
    textSchema.regex(/^[\w.:%-]+$/).default('127.0.0.1'),
    'must be an address or name to listen on',
    '0.0.0.0',
  ),
  PORT: defineVariable(portSchema(3000), PORT_MESSAGE, '3100'),
  TEMPORAL_PORT: defineVariable(portSchema(7233), PORT_MESSAGE, '7243'),
  TEMPORAL_UI_PORT: defineVariable(portSchema(8233), PORT_MESSAGE, '8243'),
  TEMPORAL_ADDRESS: defineVariable(
    addressSchema.optional(),
    'must be host:port, with a port from 1 to 65535',
    'temporal.example.com:7233',
  ),
  TEMPORAL_NAMESPACE: defineVariable(
    textSchema.regex(/^[\w.-]{1,255}$/).default('default'),
    'must be a namespace: letters, digits, dots, dashes and underscores',
    'default',
  ),
  DATABASE_URL: defineVariable(
    urlSchema('postgres:', 'postgresql:').optional(),
    'must be a PostgreSQL connection URL',
    'postgres://user:password@127.0.0.1:5432/shop',
    { secret: true },
  ),
  DATA_DIR: defineVariable(textSchema.optional(), 'must be a folder', '.data'),
  CACHE_DIR: defineVariable(textSchema.optional(), 'must be a folder', '~/.cache/workflow-orchestration-patterns'),
  XDG_CACHE_HOME: defineVariable(textSchema.optional(), 'must be a folder', '~/.cache'),
  TEMPORAL_CLI_PATH: defineVariable(
    textSchema.optional(),
    'must be the path of a Temporal CLI',
    '/usr/local/bin/temporal',
  ),
  TEMPORAL_TEST_SERVER_PATH: defineVariable(
    textSchema.optional(),
    'must be the path of a time-skipping test server',
    '/usr/local/bin/temporal-test-server',
  ),
  TEMPORAL_SERVER_PATH: defineVariable(
    textSchema.optional(),
    'must be the folder of temporal-server and temporal-sql-tool',
    '/usr/local/bin',
  ),
  SHARED_TEMPORAL_ADDRESS: defineVariable(
    addressSchema.optional(),
    'must be host:port, with a port from 1 to 65535',
    '127.0.0.1:7233',
  ),
  SHARED_DATABASE_URL: defineVariable(
    urlSchema('postgres:', 'postgresql:').optional(),
    'must be a PostgreSQL connection URL',
    'postgres://postgres:password@127.0.0.1:5432/shop',
    { secret: true },
  ),
  FAKES_PORT: defineVariable(portSchema(3001), PORT_MESSAGE, '3101'),
  METRICS_PORT: defineVariable(portSchema(3003), PORT_MESSAGE, '3103'),
  WORKER_METRICS_PORT: defineVariable(portSchema(3004), PORT_MESSAGE, '3104'),
  WORKER_HEALTH_PORT: defineVariable(portSchema(3002), PORT_MESSAGE, '3102'),
  FAKES_SMTP_PORT: defineVariable(portSchema(3025), PORT_MESSAGE, '3125'),
  SMTP_URL: defineVariable(textSchema.optional(), 'must be an smtp or smtps URL', 'smtp://mail.example.com:587', {
    secret: true,
  }),
  PAYMENTS_URL: defineVariable(
    urlSchema('http:', 'https:').optional(),
    'must be an http or https URL',
    'https://payments.example.com',
  ),
  CARRIER_URL: defineVariable(
    urlSchema('http:', 'https:').optional(),
    'must be an http or https URL',
    'https://carrier.example.com',
  ),
  CARRIER_WEBHOOK_SECRET: defineVariable(
    textSchema
      .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}(\s*,\s*whsec_[A-Za-z0-9+/]{32,}={0,2})?$/)
      .default(developmentWebhookSecret),
    'must be whsec_ and at least 24 bytes in base64, or two of them with a comma between them',
    'whsec_$(openssl rand -base64 32)',
    { secret: true },
  ),
  FAKE_CARRIER_PICKUP_SECONDS: defineVariable(secondsSchema(1), 'must be a number of seconds', '1'),
  FAKE_CARRIER_DELIVERY_SECONDS: defineVariable(secondsSchema(3), 'must be a number of seconds', '3'),
  LOG_LEVEL: defineVariable(z.enum(logLevels).default('info'), `must be one of ${logLevels.join(', ')}`, 'debug'),
};

function defineVariable<S extends z.ZodType>(schema: S, problem: string, example: string, { secret = false } = {}) {
  return { schema, problem, example, secret };
}

type VariableValues = { [K in keyof typeof variableRules]: z.output<(typeof variableRules)[K]['schema']> };

/** The settings that could be read: a variable with an invalid value has its default. */
export interface SettingsResult {
  settings: Settings;
  problems: ConfigProblem[];
}

/**
 * Reads the settings of the development stack, like `readSettings`.
 *
 * @throws SettingsError with every problem.
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
  const { SHARED_TEMPORAL_ADDRESS: clusterAddress, SHARED_DATABASE_URL: clusterDatabaseUrl } = value;
  const settings: Settings = Object.freeze({
    host: value.HOST,
    port: value.PORT,
    temporalPort: value.TEMPORAL_PORT,
    temporalUiPort: value.TEMPORAL_UI_PORT,
    temporalAddress: value.TEMPORAL_ADDRESS,
    temporalNamespace: value.TEMPORAL_NAMESPACE,
    databaseUrl: value.DATABASE_URL,
    dataDir: resolve(projectRoot, expandHome(value.DATA_DIR ?? '.data')),
    cacheDir: resolve(expandHome(value.CACHE_DIR ?? join(cacheHome, 'workflow-orchestration-patterns'))),
    temporalCliPath: value.TEMPORAL_CLI_PATH,
    temporalTestServerPath: value.TEMPORAL_TEST_SERVER_PATH,
    temporalServerPath: value.TEMPORAL_SERVER_PATH,
    sharedServers:
      clusterAddress !== undefined && clusterDatabaseUrl !== undefined
        ? Object.freeze({ address: clusterAddress, databaseUrl: clusterDatabaseUrl })
        : undefined,
    fakesPort: value.FAKES_PORT,
    paymentsUrl: value.PAYMENTS_URL,
    carrierUrl: value.CARRIER_URL,
    smtpUrl: value.SMTP_URL,
    smtpPort: value.FAKES_SMTP_PORT,
    workerHealthPort: value.WORKER_HEALTH_PORT,
    metricsPort: value.METRICS_PORT,
    workerMetricsPort: value.WORKER_METRICS_PORT,
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

/**
 * Variables that require others. A real payment gateway with a fake carrier would take money and ship nothing; a real
 * carrier does not sign its reports with the published secret.
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
      .map((name) => ({ name, problem: `is needed with ${given}`, example: variableRules[name].example })),
  );
}

/**
 * The application's settings for mails, approvals and webhooks: the configured values over defaults for a developer's
 * machine. The default secrets are public; set your own before you expose the API to others (HOST).
 */
export function developmentEnvironment(settings: Settings, apiUrl: string) {
  const { smtpUrl, smtpPort, temporalAddress, temporalUiPort, applicationEnv } = settings;
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
      approvalStage('shift-lead', { timeoutSeconds: 86_400, remindEverySeconds: 14_400 }),
      approvalStage('manager', { timeoutSeconds: 172_800, remindEverySeconds: 43_200 }),
    ]),
    WORKFLOW_BUNDLE: undefined,
    PAYLOAD_ENCRYPTION_KEYS: undefined,
    CODEC_ORIGINS: webUiOrigins.join(','),
    ...unsetShellVariables,
    ...applicationEnv,
    // Connection settings of another server do not apply to the server that the stack starts.
    ...(temporalAddress === undefined && unsetAll(connectionVariables)),
  } satisfies Partial<Record<ApplicationVariable | MetricsVariable | 'SMTP_URL', string | undefined>>;
}

/** The secrets that still have the default values of this file, which are public. */
export function secretsWithPublicDefaults(settings: Settings): string[] {
  const { applicationEnv, carrierWebhookSecret } = settings;
  const ours = ['APPROVAL_LINK_SECRET', 'APPROVAL_WEBHOOK_SECRET', 'OUTGOING_WEBHOOK_SECRET', 'CURSOR_SECRET'] as const;
  return [
    ...(carrierWebhookSecret === developmentWebhookSecret ? ['CARRIER_WEBHOOK_SECRET'] : []),
    ...ours.filter((name) => applicationEnv[name] === undefined),
  ];
}

/** The environment that child processes inherit: PATH, HOME, proxies and whatever else this machine needs. */
export function inheritedEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env };
}

function unsetAll<Name extends string>(names: readonly Name[]): Record<Name, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined])) as Record<Name, undefined>;
}

function approvalStage(approver: string, times: { timeoutSeconds: number; remindEverySeconds: number }) {
  return { approvers: [{ id: approver, email: `${approver}@example.com` }], ...times };
}

function expandHome(path: string): string {
  return path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : path;
}
