import { z } from 'zod';

/**
 * Every environment variable the application reads, with its default. This module is the only reader of `process.env`
 * under `src/`.
 */
const url = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .transform((value) => value.replace(/\/+$/, ''));
const port = z.coerce.number('must be a port number').int().min(0).max(65_535);
const seconds = z.coerce.number('must be a number of seconds').min(0).max(3_600);
const count = (max: number) => z.coerce.number('must be a whole number').int().min(1).max(max);

const variables = {
  TEMPORAL_ADDRESS: {
    schema: z
      .string()
      .regex(/^[^\s/:]+:\d{1,5}$|^\[[0-9a-f:]+\]:\d{1,5}$/i, 'must be host:port')
      .default('127.0.0.1:7233'),
    example: '127.0.0.1:7233',
  },
  TEMPORAL_NAMESPACE: { schema: z.string().min(1).default('default'), example: 'default' },
  DATABASE_URL: {
    schema: z.url({ protocol: /^postgres(ql)?$/, error: 'must be a PostgreSQL connection URL' }),
    example: 'postgres://user:password@127.0.0.1:5432/shop',
    secret: true,
  },
  DATABASE_POOL_SIZE: { schema: count(1_000).default(10), example: '10' },
  LOG_LEVEL: {
    schema: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
    example: 'info',
  },
  HOST: { schema: z.string().min(1).default('127.0.0.1'), example: '127.0.0.1' },
  PORT: { schema: port.default(3000), example: '3000' },
  CARRIER_WEBHOOK_SECRET: {
    schema: z.string().regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, 'must be whsec_ and at least 24 bytes in base64'),
    example: 'whsec_$(openssl rand -base64 32)',
    secret: true,
  },
  PAYMENTS_URL: { schema: url, example: 'https://payments.example.com' },
  CARRIER_URL: { schema: url, example: 'https://carrier.example.com' },
  SHUTDOWN_GRACE_SECONDS: { schema: seconds.default(20), example: '20' },
} as const satisfies Record<string, { schema: z.ZodType; example: string; secret?: boolean }>;

type Variable = keyof typeof variables;
type Values<Name extends Variable> = { readonly [N in Name]: z.output<(typeof variables)[N]['schema']> };

const temporal = ['TEMPORAL_ADDRESS', 'TEMPORAL_NAMESPACE', 'LOG_LEVEL'] as const;
const store = ['DATABASE_URL', 'DATABASE_POOL_SIZE'] as const;

const roles = {
  worker: [...temporal, ...store, 'PAYMENTS_URL', 'CARRIER_URL', 'SHUTDOWN_GRACE_SECONDS'],
  api: [...temporal, ...store, 'HOST', 'PORT', 'CARRIER_WEBHOOK_SECRET'],
  setup: [...temporal, ...store],
} as const satisfies Record<string, readonly Variable[]>;

export type Role = keyof typeof roles;
export type Config<R extends Role> = Values<(typeof roles)[R][number]>;

/** A wrong configuration. The message has a line for each variable: its name, what is wrong with it, an example. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads the variables of a role, and only those. An empty variable counts as unset.
 *
 * @throws ConfigError naming every variable that is missing or wrong; the value itself is not repeated.
 */
export function loadConfig<R extends Role>(role: R, env: NodeJS.ProcessEnv = process.env): Config<R> {
  const values: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const name of roles[role]) {
    const { schema, example } = variables[name];
    const raw = env[name] === '' ? undefined : env[name];
    const parsed = schema.safeParse(raw);
    if (parsed.success) values[name] = parsed.data;
    else {
      const problem = raw === undefined ? 'is not set' : parsed.error.issues.map(({ message }) => message).join(', ');
      problems.push(`  ${name}: ${problem} (for example ${name}=${example})`);
    }
  }
  if (problems.length)
    throw new ConfigError(`The ${role} cannot start, its configuration is wrong:\n${problems.join('\n')}`);
  return Object.freeze(values) as Config<R>;
}

/** The configuration as it may be printed: secrets are replaced. */
export function printable(config: Partial<Values<Variable>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => [name, 'secret' in variables[name as Variable] ? '(set)' : value]),
  );
}
