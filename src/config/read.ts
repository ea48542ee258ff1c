import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { encryptionKeys } from '../temporal/encryption/keys.js';
import { isLoopback } from '../http-client/addresses.js';
import { apiKeys } from '../schemas/api-key.js';
import { approvalStages } from '../schemas/approval.js';
import { TASK_QUEUES } from '../temporal/task-queues.js';
import {
  describeCredentials,
  PROFILE_SECRETS,
  PROFILE_VARIABLES,
  readTemporalProfile,
  type Environment,
  type TemporalCredentials,
} from '../temporal/connection-profile.js';
import { BATCH_TASK_QUEUE } from '../workflows/batch/contract.js';

/**
 * Every environment variable the application reads, with its default. This module is the only reader of `process.env`
 * under `src/`.
 */
const url = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .transform((value) => value.replace(/\/+$/, ''));

/** Accepts plain decimal digits only. `1e3`, `0x10` and ` 7` are invalid. */
const decimalNumber = (problem: string, { min, max, pattern }: { min: number; max: number; pattern: RegExp }) =>
  z.string().regex(pattern, problem).transform(Number).pipe(z.number().min(min, problem).max(max, problem));
const integer = (min: number, max: number) =>
  decimalNumber(`must be an integer from ${min} to ${max}`, { min, max, pattern: /^\d+$/ });
const decimal = (min: number, max: number, problem = `must be a number from ${min} to ${max}`) =>
  decimalNumber(problem, { min, max, pattern: /^\d+(\.\d+)?$/ });
const port = integer(1, 65_535);
const fraction = decimal(0.1, 1);

const booleanFlag = z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true');
const commaSeparated = z.string().transform((value) =>
  value
    .split(',')
    .map((entry) => entry.trim())
    .filter(Boolean),
);

/** Pairs in OpenTelemetry's format, with percent-encoded values. */
const keyValuePairs = z
  .string()
  .regex(/^\s*[^\s,=]+=[^\s,]*(\s*,\s*[^\s,=]+=[^\s,]*)*\s*$/, 'must be name=value pairs with commas');
const collectorUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .refine(
    (value) => !URL.canParse(value) || (!new URL(value).username && !new URL(value).password),
    'must not carry a user name or a password; OTEL_EXPORTER_OTLP_HEADERS may',
  )
  .optional();
const otlpProtocol = z.literal('http/json', 'must be http/json').optional();

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;
const origins = commaSeparated
  .pipe(z.array(z.string().refine(isOrigin, 'must be origins like https://shop.example.com with commas between them')))
  .default([]);

const queuesProblem = `must be some of ${TASK_QUEUES.join(', ')} with commas between them`;
/** The rules of the Temporal server, which writes a version as deployment name, dot or colon, build id. */
const deploymentName = z
  .string()
  .regex(/^(?!__)[^\s.:]{1,200}$/, 'must be at most 200 characters without blanks, dots and colons');
const buildId = z.string().regex(/^(?!__)\S{1,200}$/, 'must be at most 200 characters without blanks');

/** One secret, or two during a rotation, separated by a comma. The first signs; both verify. */
const rotatingSecrets = (pattern: RegExp, problem: string) =>
  commaSeparated.pipe(
    z
      .array(z.string().regex(pattern, problem))
      .min(1, problem)
      .max(2, 'must be one secret, or two with a comma between them'),
  );
const webhookSecrets = rotatingSecrets(
  /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/,
  'must be whsec_ and at least 24 bytes in base64',
);
const plainSecrets = rotatingSecrets(/^[^\s,]{32,}$/, 'must be at least 32 characters without blanks');
const webhookSecretExample = 'whsec_$(openssl rand -base64 32)';

/** JSON in a variable, validated with a schema. Error messages contain the JSON pointer of the invalid value. */
const jsonOf = <T extends z.ZodType>(schema: T) =>
  z.string().transform((value, context): z.output<T> => {
    try {
      const parsed = schema.safeParse(JSON.parse(value));
      if (parsed.success) return parsed.data;
      for (const { path, message } of parsed.error.issues) {
        context.addIssue({ code: 'custom', message: `/${path.map(String).join('/')}: ${message}` });
      }
    } catch {
      context.addIssue({ code: 'custom', message: 'must be JSON' });
    }
    return z.NEVER;
  });

const VARIABLE_RULES = {
  PAYLOAD_ENCRYPTION_KEYS: {
    schema: encryptionKeys.optional(),
    example: '2026-11:$(openssl rand -base64 32)',
    secret: true,
  },
  DATABASE_URL: {
    schema: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a PostgreSQL connection URL' }),
    example: 'postgres://user:password@127.0.0.1:5432/shop',
    secret: true,
  },
  DATABASE_APP_ROLE: { schema: z.string().min(1).max(63).optional(), example: 'shop' },
  DATABASE_POOL_SIZE: { schema: integer(1, 1_000).default(10), example: '10' },
  LOG_LEVEL: {
    schema: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
    example: 'info',
  },
  TEMPORAL_CORE_LOG_LEVEL: {
    schema: z.enum(['info', 'warn', 'error'], 'must be info, warn or error').default('warn'),
    example: 'info',
  },
  OTEL_SDK_DISABLED: { schema: booleanFlag.default(false), example: 'true' },
  OTEL_TRACES_EXPORTER: {
    schema: z.enum(['otlp', 'console', 'none'], 'must be otlp, console or none').optional(),
    example: 'otlp',
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: { schema: collectorUrl, example: 'http://127.0.0.1:4318' },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: { schema: collectorUrl, example: 'http://127.0.0.1:4318/v1/traces' },
  OTEL_EXPORTER_OTLP_PROTOCOL: { schema: otlpProtocol, example: 'http/json' },
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: { schema: otlpProtocol, example: 'http/json' },
  OTEL_EXPORTER_OTLP_HEADERS: { schema: keyValuePairs.optional(), example: 'api-key=…', secret: true },
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: { schema: keyValuePairs.optional(), example: 'api-key=…', secret: true },
  OTEL_RESOURCE_ATTRIBUTES: { schema: keyValuePairs.optional(), example: 'deployment.environment.name=production' },
  OTEL_SERVICE_NAME: { schema: z.string().min(1).optional(), example: 'shop-worker' },
  OTEL_TRACES_SAMPLER: {
    schema: z.enum(SAMPLERS, `must be one of ${SAMPLERS.join(', ')}`).default('parentbased_always_on'),
    example: 'parentbased_traceidratio',
  },
  OTEL_TRACES_SAMPLER_ARG: {
    schema: decimal(0, 1).optional(),
    example: '0.1',
  },
  HOST: { schema: z.string().min(1).default('127.0.0.1'), example: '127.0.0.1' },
  PORT: { schema: port.default(3000), example: '3000' },
  API_KEYS: {
    secret: true,
    schema: jsonOf(apiKeys).optional(),
    example: `'[{"id":"ada","roles":["shopper"],"hashes":["…"]}]', as npm run api-key prints it`,
  },
  JWT_ISSUER: { schema: z.string().min(1).optional(), example: 'https://login.example.com/' },
  JWT_AUDIENCE: { schema: z.string().min(1).optional(), example: 'https://shop.example.com' },
  JWT_JWKS_URL: {
    schema: z
      .url({ protocol: /^https?$/, error: 'must be an https URL' })
      .refine(
        // zod runs this refinement even when the value is not a URL.
        (value) => value.startsWith('https:') || (URL.canParse(value) && isLoopback(new URL(value).hostname)),
        'must be an https URL',
      )
      .optional(),
    example: 'https://login.example.com/.well-known/jwks.json',
  },
  JWT_ID_CLAIM: { schema: z.string().min(1).default('sub'), example: 'sub' },
  JWT_ROLES_CLAIM: { schema: z.string().min(1).default('roles'), example: 'realm_access.roles' },
  CURSOR_SECRET: { schema: plainSecrets, example: '$(openssl rand -hex 32)', secret: true },
  CORS_ORIGINS: { schema: origins, example: 'https://shop.example.com' },
  CODEC_ORIGINS: { schema: origins, example: 'https://temporal.example.com' },
  HSTS_MAX_AGE: { schema: integer(0, 2 ** 31 - 1).default(0), example: '31536000' },
  RATE_LIMIT_PER_MINUTE: { schema: integer(1, 10_000_000).default(6_000), example: '6000' },
  MAX_EVENT_LOOP_DELAY_MS: { schema: integer(1, 60_000).default(1_000), example: '1000' },
  HEALTH_HOST: { schema: z.string().min(1).default('127.0.0.1'), example: '127.0.0.1' },
  HEALTH_PORT: { schema: port.optional(), example: '3002' },
  METRICS_HOST: { schema: z.string().min(1).default('127.0.0.1'), example: '127.0.0.1' },
  METRICS_PORT: { schema: port.optional(), example: '9464' },
  CARRIER_WEBHOOK_SECRET: {
    schema: webhookSecrets,
    example: webhookSecretExample,
    secret: true,
  },
  APPROVAL_WEBHOOK_SECRET: { schema: webhookSecrets, example: webhookSecretExample, secret: true },
  OUTGOING_WEBHOOK_SECRET: { schema: webhookSecrets, example: webhookSecretExample, secret: true },
  APPROVAL_LINK_SECRET: {
    schema: plainSecrets,
    example: '$(openssl rand -hex 32)',
    secret: true,
  },
  PUBLIC_URL: { schema: url, example: 'https://shop.example.com' },
  SMTP_URL: {
    schema: z.url({ protocol: /^smtps?$/, error: 'must be an smtp or smtps URL' }),
    example: 'smtps://user:password@mail.example.com',
    secret: true,
  },
  MAIL_FROM: {
    schema: z.string().regex(/^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/, 'must be an e-mail address'),
    example: 'The shop <no-reply@example.com>',
  },
  OUTGOING_ALLOWED_HOSTS: {
    schema: commaSeparated
      .pipe(z.array(z.string().refine(isAllowedHost, 'must be hosts with commas between them')))
      .default([]),
    example: 'hooks.example.com,*.partner.example',
  },
  OUTGOING_ALLOW_PRIVATE: { schema: booleanFlag.default(false), example: 'false' },
  ORDER_APPROVAL_THRESHOLD: {
    schema: integer(1, Number.MAX_SAFE_INTEGER).optional(),
    example: '100000',
  },
  ORDER_APPROVAL_STAGES: {
    secret: true,
    schema: jsonOf(approvalStages).optional(),
    example: `'[{"approvers":[{"id":"lead","email":"lead@example.com"}],"timeoutSeconds":86400}]'`,
  },
  BATCH_MAX_BYTES: { schema: integer(1, 2 ** 40).default(2 ** 30), example: '1073741824' },
  BATCH_MAX_LINE_LENGTH: { schema: integer(1, 2 ** 20).default(16_384), example: '16384' },
  BATCH_MAX_CONCURRENT_CHUNKS: { schema: integer(1, 1_000).default(4), example: '4' },
  WORKER_TASK_QUEUES: {
    schema: commaSeparated
      .pipe(z.array(z.enum(TASK_QUEUES, queuesProblem)).min(1, queuesProblem))
      .transform((queues) => TASK_QUEUES.filter((queue) => queues.includes(queue)))
      .default([...TASK_QUEUES]),
    example: 'orders,payments',
  },
  WORKER_TUNER: {
    schema: z.enum(['fixed', 'resource-based'], 'must be fixed or resource-based').default('fixed'),
    example: 'resource-based',
  },
  WORKER_TARGET_MEMORY: { schema: fraction.optional(), example: '0.8' },
  WORKER_TARGET_CPU: { schema: fraction.optional(), example: '0.9' },
  WORKER_MAX_CONCURRENT_ACTIVITIES: { schema: integer(1, 10_000).optional(), example: '100' },
  // At least 2: one slot polls the task queue, the other the sticky queue of cached workflows. With a single slot they
  // block each other.
  WORKER_MAX_CONCURRENT_WORKFLOW_TASKS: { schema: integer(2, 10_000).optional(), example: '40' },
  WORKER_MAX_CACHED_WORKFLOWS: { schema: integer(2, 1_000_000).optional(), example: '2000' },
  PAYMENTS_PER_SECOND: {
    schema: decimal(0.001, 100_000).optional(),
    example: '50',
  },
  TEMPORAL_DEPLOYMENT_NAME: { schema: deploymentName.optional(), example: 'shop' },
  TEMPORAL_WORKER_BUILD_ID: { schema: buildId.optional(), example: '$(git rev-parse --short HEAD)' },
  PAYMENTS_URL: { schema: url, example: 'https://payments.example.com' },
  PAYMENTS_KEY_RETENTION_HOURS: { schema: integer(1, 8_760).default(24), example: '24' },
  CARRIER_URL: { schema: url, example: 'https://carrier.example.com' },
  CARRIER_KEY_RETENTION_HOURS: { schema: integer(1, 8_760).default(24), example: '24' },
  WORKFLOW_BUNDLE: { schema: z.string().min(1).optional(), example: 'dist/workflow-bundle.js' },
  SHUTDOWN_GRACE_SECONDS: { schema: decimal(0, 3_600).default(20), example: '20' },
} as const satisfies Record<string, { schema: z.ZodType; example: string; secret?: boolean }>;

type Variable = keyof typeof VARIABLE_RULES;
type ParsedVariables<Name extends Variable> = { readonly [N in Name]: z.output<(typeof VARIABLE_RULES)[N]['schema']> };

const STORE_VARIABLES = ['DATABASE_URL', 'DATABASE_POOL_SIZE'] as const;

/**
 * Variables that the code does not read by name. They are validated here, and the OpenTelemetry SDK reads them itself.
 */
const TRACING_VARIABLES = [
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

const OUTGOING_VARIABLES = ['OUTGOING_ALLOWED_HOSTS', 'OUTGOING_ALLOW_PRIVATE'] as const;
const METRICS_VARIABLES = ['METRICS_HOST', 'METRICS_PORT'] as const;

const PROCESS_VARIABLES = {
  worker: [
    'LOG_LEVEL',
    ...STORE_VARIABLES,
    ...OUTGOING_VARIABLES,
    ...METRICS_VARIABLES,
    ...TRACING_VARIABLES,
    'TEMPORAL_CORE_LOG_LEVEL',
    'PAYMENTS_URL',
    'CARRIER_URL',
    'PAYMENTS_KEY_RETENTION_HOURS',
    'CARRIER_KEY_RETENTION_HOURS',
    'SHUTDOWN_GRACE_SECONDS',
    'PAYLOAD_ENCRYPTION_KEYS',
    'SMTP_URL',
    'MAIL_FROM',
    'PUBLIC_URL',
    'APPROVAL_LINK_SECRET',
    'OUTGOING_WEBHOOK_SECRET',
    'ORDER_APPROVAL_THRESHOLD',
    'ORDER_APPROVAL_STAGES',
    'BATCH_MAX_CONCURRENT_CHUNKS',
    'WORKFLOW_BUNDLE',
    'HEALTH_HOST',
    'HEALTH_PORT',
    'TEMPORAL_DEPLOYMENT_NAME',
    'TEMPORAL_WORKER_BUILD_ID',
    'WORKER_TASK_QUEUES',
    'WORKER_TUNER',
    'WORKER_TARGET_MEMORY',
    'WORKER_TARGET_CPU',
    'PAYMENTS_PER_SECOND',
    'WORKER_MAX_CONCURRENT_ACTIVITIES',
    'WORKER_MAX_CONCURRENT_WORKFLOW_TASKS',
    'WORKER_MAX_CACHED_WORKFLOWS',
  ],
  api: [
    'LOG_LEVEL',
    ...STORE_VARIABLES,
    ...OUTGOING_VARIABLES,
    ...METRICS_VARIABLES,
    ...TRACING_VARIABLES,
    'HOST',
    'PORT',
    'PAYLOAD_ENCRYPTION_KEYS',
    'CODEC_ORIGINS',
    'CARRIER_WEBHOOK_SECRET',
    'APPROVAL_WEBHOOK_SECRET',
    'APPROVAL_LINK_SECRET',
    'BATCH_MAX_BYTES',
    'BATCH_MAX_LINE_LENGTH',
    'CURSOR_SECRET',
    'API_KEYS',
    'JWT_ISSUER',
    'JWT_AUDIENCE',
    'JWT_JWKS_URL',
    'JWT_ID_CLAIM',
    'JWT_ROLES_CLAIM',
    'CORS_ORIGINS',
    'HSTS_MAX_AGE',
    'RATE_LIMIT_PER_MINUTE',
    'MAX_EVENT_LOOP_DELAY_MS',
  ],
  setup: ['LOG_LEVEL', ...STORE_VARIABLES, 'DATABASE_APP_ROLE'],
  /** For `npm run replay`. */
  replay: ['PAYLOAD_ENCRYPTION_KEYS'],
} as const satisfies Record<string, readonly Variable[]>;

export type ProcessName = keyof typeof PROCESS_VARIABLES;

/** Connection settings from the environment or from a Temporal profile: see src/temporal/connection-profile.ts. */
interface TemporalConfig {
  readonly TEMPORAL_ADDRESS: string;
  readonly TEMPORAL_NAMESPACE: string;
  readonly TEMPORAL_CREDENTIALS: TemporalCredentials;
}

export type Config<R extends ProcessName> = ParsedVariables<(typeof PROCESS_VARIABLES)[R][number]> & TemporalConfig;

/** A problem with a variable. */
export interface ConfigProblem {
  name: string;
  problem: string;
  /** The value that was given. Never set for a secret. */
  got?: string | undefined;
  /** A valid value, or a whole assignment when another variable must change. */
  example: string;
}

/** An invalid configuration. The message has one line per problem: the variable, the problem and an example. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];

  constructor(what: string, problems: readonly ConfigProblem[]) {
    super(`${what} cannot start:\n${problems.map((problem) => `  ${formatConfigProblem(problem)}`).join('\n')}`);
    this.problems = problems;
  }
}

/** Messages truncate longer values. */
const MAX_SHOWN_LENGTH = 80;

/** Formats a problem: `PORT: must be an integer from 1 to 65535, got "abc" (example: PORT=3000)`. */
export function formatConfigProblem({ name, problem, got, example }: ConfigProblem): string {
  // Removes credentials from URLs.
  const plain = got?.replace(/\/\/[^/]*@/, '//…@');
  const shown = plain !== undefined && plain.length > MAX_SHOWN_LENGTH ? `${plain.slice(0, MAX_SHOWN_LENGTH)}…` : plain;
  const assignment = /^[A-Z][A-Z0-9_]*=/.test(example) ? example : `${name.split(' ')[0]}=${example}`;
  return `${name}: ${problem}${shown === undefined ? '' : `, got ${JSON.stringify(shown)}`} (example: ${assignment})`;
}

/** The valid values of a configuration, and the problems of the others. */
export interface ConfigResult<R extends ProcessName> {
  values: Readonly<Partial<Config<R>>>;
  problems: ConfigProblem[];
}

/**
 * Reads the variables of a role. An empty variable counts as unset. A secret can be in a file: `API_KEYS_FILE` names
 * the file with the value of `API_KEYS`, without its final line break. Problems never contain a secret.
 */
export function readConfig<R extends ProcessName>(role: R, env: NodeJS.ProcessEnv = process.env): ConfigResult<R> {
  const values: Record<string, unknown> = {};
  const { given, problems } = readSecretFiles(env, [...PROCESS_VARIABLES[role], ...PROFILE_SECRETS]);
  for (const name of PROCESS_VARIABLES[role]) {
    const { schema, example } = VARIABLE_RULES[name];
    const raw = given[name];
    const parsed = schema.safeParse(raw);
    if (parsed.success) values[name] = parsed.data;
    // An unreadable file already has its own problem.
    else if (raw !== undefined || given[`${name}_FILE`] === undefined) {
      const messages = new Set(parsed.error.issues.map(({ message }) => message));
      const problem = raw === undefined ? 'is not set' : [...messages].join(', ');
      problems.push({ name, problem, got: isSecret(name) ? undefined : raw, example });
    }
  }
  const profile = readTemporalProfile(given);
  if ('problems' in profile) problems.push(...profile.problems);
  else {
    values.TEMPORAL_ADDRESS = profile.address;
    values.TEMPORAL_NAMESPACE = profile.namespace;
    values.TEMPORAL_CREDENTIALS = profile.credentials;
  }
  problems.push(
    ...findIncompleteGroups(values, given),
    ...unusedTunerTargets(values),
    ...findPortConflict(values),
    ...checkChunkConcurrency(values),
    ...(role === 'api' ? checkAuthentication(values) : []),
  );
  return { values: Object.freeze(values) as Partial<Config<R>>, problems };
}

/**
 * Returns the configuration of a role.
 *
 * @throws ConfigError with all problems.
 */
export function loadConfig<R extends ProcessName>(role: R, env: NodeJS.ProcessEnv = process.env): Config<R> {
  const { values, problems } = readConfig(role, env);
  if (problems.length) throw new ConfigError(`The ${role}`, problems);
  return values as Config<R>;
}

/** The names of all variables that the role reads. */
export function variableNames(role: ProcessName): string[] {
  const names = [...PROCESS_VARIABLES[role], ...PROFILE_VARIABLES];
  return [...names, ...names.filter(isSecret).map((name) => `${name}_FILE`)];
}

function isSecret(name: string): boolean {
  return (
    PROFILE_SECRETS.some((secret) => secret === name) ||
    (name in VARIABLE_RULES && 'secret' in VARIABLE_RULES[name as Variable])
  );
}

/** The variables that are set, including the contents of secret files. */
function readSecretFiles(env: NodeJS.ProcessEnv, names: readonly string[]) {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value)) as Environment;
  const problems: ConfigProblem[] = [];
  for (const name of names.filter(isSecret)) {
    const file = given[`${name}_FILE`];
    if (file === undefined) continue;
    const problem = (text: string) =>
      problems.push({ name: `${name}_FILE`, problem: text, example: `/run/secrets/${name.toLowerCase()}` });
    if (given[name] !== undefined) {
      problem(`is one way, ${name} the other`);
      continue;
    }
    try {
      const content = readFileSync(file, 'utf8').replace(/\r?\n$/, '');
      if (content) given[name] = content;
      else problem('is an empty file');
    } catch (error) {
      problem(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
    }
  }
  return { given, problems };
}

/** Variables that must be set together. */
const VARIABLE_GROUPS = [
  ['ORDER_APPROVAL_THRESHOLD', 'ORDER_APPROVAL_STAGES'],
  ['JWT_ISSUER', 'JWT_AUDIENCE', 'JWT_JWKS_URL'],
  ['TEMPORAL_DEPLOYMENT_NAME', 'TEMPORAL_WORKER_BUILD_ID'],
] as const;

function findIncompleteGroups(values: Record<string, unknown>, given: Environment): ConfigProblem[] {
  return VARIABLE_GROUPS.flatMap((group) => {
    const there = group.filter((name) => values[name] !== undefined);
    if (there.length === 0) return [];
    // A variable that is set but invalid already has its own problem.
    const missing = group.filter((name) => given[name] === undefined);
    return missing.map((name) => ({
      name,
      problem: `is needed with ${there.join(', ')}`,
      example: VARIABLE_RULES[name].example,
    }));
  });
}

/** Resource targets have no effect with fixed numbers of slots. */
function unusedTunerTargets(values: Partial<ParsedVariables<Variable>>): ConfigProblem[] {
  if (values.WORKER_TUNER !== 'fixed') return [];
  return (['WORKER_TARGET_MEMORY', 'WORKER_TARGET_CPU'] as const)
    .filter((name) => values[name] !== undefined)
    .map((name) => ({
      name,
      problem: 'is for WORKER_TUNER=resource-based',
      example: 'WORKER_TUNER=resource-based',
    }));
}

/** A process cannot listen twice on one port. */
function findPortConflict({ PORT, HEALTH_PORT, METRICS_PORT }: Partial<ParsedVariables<Variable>>): ConfigProblem[] {
  const [name, other] = PORT === undefined ? ['HEALTH_PORT', HEALTH_PORT] : ['PORT', PORT];
  if (METRICS_PORT === undefined || METRICS_PORT !== other) return [];
  const problem = `must differ from ${name}, both are ${METRICS_PORT}`;
  return [{ name: 'METRICS_PORT', problem, example: String(suggestPort(METRICS_PORT)) }];
}

/** Suggests another port. */
export function suggestPort(taken: number): number {
  return taken < 65_000 ? taken + 100 : taken - 100;
}

/**
 * Each chunk of a batch holds a database connection while it runs. With more chunks than connections, chunks time out.
 */
function checkChunkConcurrency(values: Partial<ParsedVariables<Variable>>): ConfigProblem[] {
  const { WORKER_TASK_QUEUES: queues, BATCH_MAX_CONCURRENT_CHUNKS: chunks, DATABASE_POOL_SIZE: connections } = values;
  if (!queues?.includes(BATCH_TASK_QUEUE) || chunks === undefined || connections === undefined) return [];
  if (chunks <= connections) return [];
  const problem = `must be at most DATABASE_POOL_SIZE (${connections}), is ${chunks}`;
  return [{ name: 'BATCH_MAX_CONCURRENT_CHUNKS', problem, example: String(connections) }];
}

/** Without API keys and JWTs every caller has all permissions, so the API must be reachable from this machine only. */
function checkAuthentication({ HOST, API_KEYS, JWT_ISSUER }: Partial<ParsedVariables<Variable>>): ConfigProblem[] {
  if (API_KEYS !== undefined || JWT_ISSUER !== undefined || HOST === undefined || isLoopback(HOST)) return [];
  const problem = 'is needed, or JWT_ISSUER, when HOST is not on loopback';
  return [{ name: 'API_KEYS', problem, example: VARIABLE_RULES.API_KEYS.example }];
}

/** Accepts `example.com`, `*.example.com`, `example.com:8443`. */
function isAllowedHost(value: string): boolean {
  const [, name, port] = /^(?:\*\.)?([^*:/?#@\\[\]\s]+|\[[^\]]+\])(?::(\d+))?$/.exec(value) ?? [];
  return name !== undefined && URL.canParse(`http://${name}:${port ?? 80}`);
}

function isOrigin(value: string): boolean {
  return /^https?:\/\/[^*]+$/.test(value) && URL.canParse(value) && new URL(value).origin === value;
}

/** The configuration for logs, with secrets masked. */
export function redactConfig(config: Partial<ParsedVariables<Variable> & TemporalConfig>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => {
      if (name === 'TEMPORAL_CREDENTIALS') return [name, describeCredentials(value as TemporalCredentials)];
      return [name, isSecret(name) && value !== undefined ? '(set)' : value];
    }),
  );
}
