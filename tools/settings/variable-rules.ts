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

/** The highest default port is 8233. */
const MAX_PORT_OFFSET = 57_000;

const PORT_MESSAGE = 'must be an integer from 1 to 65535';

/**
 * Schema, error message, description and example of each variable of the development stack. The application validates
 * its own variables in src/config/. docs/reference/configuration.md shows the descriptions.
 */
export const variableRules = {
  HOST: defineVariable({
    schema: textSchema.regex(/^[\w.:%-]+$/).default('127.0.0.1'),
    problem: 'must be an address or name to listen on',
    description: 'The address on which the API listens. All other servers listen on loopback.',
    example: '0.0.0.0',
  }),
  PORT_OFFSET: defineVariable({
    schema: z
      .string()
      .regex(/^\d{1,5}$/)
      .transform(Number)
      .refine((value) => value <= MAX_PORT_OFFSET)
      .default(0),
    problem: `must be an integer from 0 to ${MAX_PORT_OFFSET}`,
    description:
      'A number that is added to every default port, for a second stack beside the first. Its data is then in a folder of its own.',
    example: '1000',
  }),
  PORT: defineVariable({
    schema: portSchema(3000),
    problem: PORT_MESSAGE,
    description: 'The port of the API.',
    example: '3100',
  }),
  TEMPORAL_PORT: defineVariable({
    schema: portSchema(7233),
    problem: PORT_MESSAGE,
    description: 'The port of the dev server.',
    example: '7243',
  }),
  TEMPORAL_UI_PORT: defineVariable({
    schema: portSchema(8233),
    problem: PORT_MESSAGE,
    description: 'The port of the Web UI of the dev server.',
    example: '8243',
  }),
  TEMPORAL_ADDRESS: defineVariable({
    schema: addressSchema.optional(),
    problem: 'must be host:port, with a port from 1 to 65535',
    description: 'The address of an existing Temporal service. `npm start` then starts no dev server.',
    example: 'temporal.example.com:7233',
  }),
  TEMPORAL_NAMESPACE: defineVariable({
    schema: textSchema.regex(/^[\w.-]{1,255}$/).default('default'),
    problem: 'must be a namespace: letters, digits, dots, dashes and underscores',
    description: 'The namespace of the shop.',
    example: 'default',
  }),
  DATABASE_URL: defineVariable({
    schema: urlSchema('postgres:', 'postgresql:').optional(),
    problem: 'must be a PostgreSQL connection URL',
    description: 'The URL of an existing PostgreSQL, version 15 or newer. `npm start` then starts no PostgreSQL.',
    example: 'postgres://user:password@127.0.0.1:5432/shop',
    secret: true,
  }),
  DATA_DIR: defineVariable({
    schema: textSchema.optional(),
    problem: 'must be a folder',
    description: 'The folder of the databases, the ledger of the fakes and the logs. By default `.data`.',
    example: '.data',
  }),
  CACHE_DIR: defineVariable({
    schema: textSchema.optional(),
    problem: 'must be a folder',
    description:
      'The folder of the servers that were downloaded or built. By default `~/.cache/workflow-orchestration-patterns`.',
    example: '~/.cache/workflow-orchestration-patterns',
  }),
  XDG_CACHE_HOME: defineVariable({
    schema: textSchema.optional(),
    problem: 'must be a folder',
    description: 'The parent folder of the default of `CACHE_DIR`. By default `~/.cache`.',
    example: '~/.cache',
  }),
  TEMPORAL_CLI_PATH: defineVariable({
    schema: textSchema.optional(),
    problem: 'must be the path of a Temporal CLI',
    description: 'The path of an installed Temporal CLI, which contains the dev server.',
    example: '/usr/local/bin/temporal',
  }),
  TEMPORAL_TEST_SERVER_PATH: defineVariable({
    schema: textSchema.optional(),
    problem: 'must be the path of a time-skipping test server',
    description: 'The path of an installed time-skipping test server.',
    example: '/usr/local/bin/temporal-test-server',
  }),
  TEMPORAL_SERVER_PATH: defineVariable({
    schema: textSchema.optional(),
    problem: 'must be a folder with temporal-server and temporal-sql-tool',
    description: 'The folder of an installed full Temporal server.',
    example: '/usr/local/bin',
  }),
  SHARED_TEMPORAL_ADDRESS: defineVariable({
    schema: addressSchema.optional(),
    problem: 'must be host:port, with a port from 1 to 65535',
    description:
      'The address of a Temporal server that the end-to-end tests share. Set together with `SHARED_DATABASE_URL`.',
    example: '127.0.0.1:7233',
  }),
  SHARED_DATABASE_URL: defineVariable({
    schema: urlSchema('postgres:', 'postgresql:').optional(),
    problem: 'must be a PostgreSQL connection URL',
    description:
      'The URL of a PostgreSQL that the end-to-end tests share. Its user may create databases. Set together with `SHARED_TEMPORAL_ADDRESS`.',
    example: 'postgres://postgres:password@127.0.0.1:5432/shop',
    secret: true,
  }),
  FAKES_PORT: defineVariable({
    schema: portSchema(3001),
    problem: PORT_MESSAGE,
    description: 'The port of the fake payment gateway, carrier, mailbox and Slack.',
    example: '3101',
  }),
  METRICS_PORT: defineVariable({
    schema: portSchema(3003),
    problem: PORT_MESSAGE,
    description: 'The port on which the API serves metrics.',
    example: '3103',
  }),
  WORKER_METRICS_PORT: defineVariable({
    schema: portSchema(3004),
    problem: PORT_MESSAGE,
    description: 'The port on which the worker serves metrics.',
    example: '3104',
  }),
  WORKER_HEALTH_PORT: defineVariable({
    schema: portSchema(3002),
    problem: PORT_MESSAGE,
    description: 'The port on which the worker serves `/livez` and `/readyz`.',
    example: '3102',
  }),
  FAKES_SMTP_PORT: defineVariable({
    schema: portSchema(3025),
    problem: PORT_MESSAGE,
    description: 'The port of the fake mail server.',
    example: '3125',
  }),
  SMTP_URL: defineVariable({
    schema: textSchema.optional(),
    problem: 'must be an smtp or smtps URL',
    description: 'The URL of a real mail server, instead of the fake mail server.',
    example: 'smtp://mail.example.com:587',
    secret: true,
  }),
  PAYMENTS_URL: defineVariable({
    schema: urlSchema('http:', 'https:').optional(),
    problem: 'must be an http or https URL',
    description:
      'The URL of a real payment gateway, instead of the fake. Set together with `CARRIER_URL` and `CARRIER_WEBHOOK_SECRET`.',
    example: 'https://payments.example.com',
  }),
  CARRIER_URL: defineVariable({
    schema: urlSchema('http:', 'https:').optional(),
    problem: 'must be an http or https URL',
    description:
      'The URL of a real carrier, instead of the fake. Set together with `PAYMENTS_URL` and `CARRIER_WEBHOOK_SECRET`.',
    example: 'https://carrier.example.com',
  }),
  CARRIER_WEBHOOK_SECRET: defineVariable({
    schema: textSchema
      .regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}(\s*,\s*whsec_[A-Za-z0-9+/]{32,}={0,2})?$/)
      .default(developmentWebhookSecret),
    problem: 'must be whsec_ and at least 24 bytes in base64, or two of these values separated by a comma',
    description: "Verifies the carrier's reports. The default is public, so it is only for the fake carrier.",
    example: 'whsec_$(openssl rand -base64 32)',
    secret: true,
  }),
  FAKE_CARRIER_PICKUP_SECONDS: defineVariable({
    schema: secondsSchema(1),
    problem: 'must be a number of seconds',
    description: 'How long the fake carrier takes from the acceptance to the pickup of a parcel, in seconds.',
    example: '1',
  }),
  FAKE_CARRIER_DELIVERY_SECONDS: defineVariable({
    schema: secondsSchema(3),
    problem: 'must be a number of seconds',
    description: 'How long the fake carrier takes from the acceptance to the delivery of a parcel, in seconds.',
    example: '3',
  }),
  LOG_LEVEL: defineVariable({
    schema: z.enum(logLevels).default('info'),
    problem: `must be one of ${logLevels.join(', ')}`,
    description: 'The lowest level of log lines of worker and API.',
    example: 'debug',
  }),
};

interface VariableRule<S extends z.ZodType> {
  schema: S;
  /** The accepted values, as the end of an error message: `must be a folder`. */
  problem: string;
  description: string;
  example: string;
  /** Marks a secret. Its value is never printed. */
  secret?: boolean;
}

function defineVariable<S extends z.ZodType>(rule: VariableRule<S>) {
  return { secret: false, ...rule };
}

/** The validated values of the variables. */
export type VariableValues = { [K in keyof typeof variableRules]: z.output<(typeof variableRules)[K]['schema']> };
