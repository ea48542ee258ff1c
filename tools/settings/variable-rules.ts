import { z } from 'zod';
import { isHostPort } from '../../src/temporal/connection-profile.js';

/**
 * The secret that signs the reports of the fake carrier. The secret is public, so use it only with the fake carrier.
 * For a real carrier, set CARRIER_WEBHOOK_SECRET to the secret of that carrier.
 */
export const developmentWebhookSecret = 'whsec_ZGV2ZWxvcG1lbnQtb25seS1jYXJyaWVyLXNlY3JldA==';

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

/**
 * Schema, error message and example of each variable of the development stack. The application validates its own
 * variables in src/config/.
 */
export const variableRules = {
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
    'must be a folder with temporal-server and temporal-sql-tool',
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
    'must be whsec_ and at least 24 bytes in base64, or two of these values separated by a comma',
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

/** The validated values of the variables. */
export type VariableValues = { [K in keyof typeof variableRules]: z.output<(typeof variableRules)[K]['schema']> };
