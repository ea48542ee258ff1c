import { z } from 'zod';
import { booleanFlag, decimal, keyValuePairs, nonEmptyText, port } from '../parsers.js';
import type { VariableDeclaration } from './declaration.js';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

const SAMPLERS = [
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
  'always_on',
  'always_off',
  'traceidratio',
] as const;

const collectorUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .refine(
    (value) => !URL.canParse(value) || (!new URL(value).username && !new URL(value).password),
    'must not contain a user name or a password; use OTEL_EXPORTER_OTLP_HEADERS for credentials',
  )
  .meta({ values: 'http or https URL without a user name and a password' })
  .optional();

const otlpProtocol = z.literal('http/json', 'must be http/json').optional();

/** Variables for logs, health checks, metrics and traces. The OpenTelemetry SDK reads most `OTEL_` variables itself. */
export const OBSERVABILITY_VARIABLES = {
  LOG_LEVEL: {
    schema: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
    description: 'The lowest level of log lines.',
    example: 'info',
    readBy: ['worker', 'api', 'setup'],
  },
  TEMPORAL_CORE_LOG_LEVEL: {
    schema: z.enum(['info', 'warn', 'error'], 'must be info, warn or error').default('warn'),
    description: 'The lowest level of log lines of the Temporal SDK core. LOG_LEVEL applies as well.',
    example: 'info',
    readBy: ['worker'],
  },
  HEALTH_HOST: {
    schema: nonEmptyText.default('127.0.0.1'),
    description: 'The address on which a worker serves health checks.',
    example: '127.0.0.1',
    readBy: ['worker'],
  },
  HEALTH_PORT: {
    schema: port.optional(),
    description:
      'The port on which a worker serves /livez and /readyz. Without it, the worker serves no health checks.',
    example: '3002',
    readBy: ['worker'],
  },
  METRICS_HOST: {
    schema: nonEmptyText.default('127.0.0.1'),
    description: 'The address on which a worker or API process serves metrics.',
    example: '127.0.0.1',
    readBy: ['worker', 'api'],
  },
  METRICS_PORT: {
    schema: port.optional(),
    description: 'The port on which a worker or API process serves metrics. Without it, the process serves no metrics.',
    example: '9464',
    readBy: ['worker', 'api'],
  },
  OTEL_SDK_DISABLED: {
    schema: booleanFlag.default(false),
    description: 'Disables tracing, even if other variables enable it.',
    example: 'true',
    readBy: ['worker', 'api'],
  },
  OTEL_TRACES_EXPORTER: {
    schema: z.enum(['otlp', 'console', 'none'], 'must be otlp, console or none').optional(),
    description: 'Where traces go. By default, otlp if an endpoint is set, otherwise none.',
    example: 'otlp',
    readBy: ['worker', 'api'],
  },
  OTEL_TRACES_SAMPLER: {
    schema: z.enum(SAMPLERS, `must be one of ${SAMPLERS.join(', ')}`).default('parentbased_always_on'),
    description: 'Which traces are exported.',
    example: 'parentbased_traceidratio',
    readBy: ['worker', 'api'],
  },
  OTEL_TRACES_SAMPLER_ARG: {
    schema: decimal(0, 1).optional(),
    description: 'The share of traces that a ratio sampler exports.',
    example: '0.1',
    readBy: ['worker', 'api'],
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    schema: collectorUrl,
    description: 'The base URL of the collector, without /v1/traces.',
    example: 'http://127.0.0.1:4318',
    readBy: ['worker', 'api'],
  },
  OTEL_EXPORTER_OTLP_PROTOCOL: {
    schema: otlpProtocol,
    description: 'The protocol of the collector. Only http/json is supported.',
    example: 'http/json',
    readBy: ['worker', 'api'],
  },
  OTEL_EXPORTER_OTLP_HEADERS: {
    schema: keyValuePairs.optional(),
    description: 'Headers for the collector, such as an API key.',
    example: 'api-key=…',
    readBy: ['worker', 'api'],
    secret: true,
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
    schema: collectorUrl,
    description: 'The full URL of the collector for traces. Overrides OTEL_EXPORTER_OTLP_ENDPOINT.',
    example: 'http://127.0.0.1:4318/v1/traces',
    readBy: ['worker', 'api'],
  },
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: {
    schema: otlpProtocol,
    description: 'The protocol of the collector for traces. Only http/json is supported.',
    example: 'http/json',
    readBy: ['worker', 'api'],
  },
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: {
    schema: keyValuePairs.optional(),
    description: 'Headers for the collector of traces. Overrides OTEL_EXPORTER_OTLP_HEADERS.',
    example: 'api-key=…',
    readBy: ['worker', 'api'],
    secret: true,
  },
  OTEL_SERVICE_NAME: {
    schema: nonEmptyText.optional(),
    description: 'The service name in traces. By default, shop-api and shop-worker.',
    example: 'shop-worker',
    readBy: ['worker', 'api'],
  },
  OTEL_RESOURCE_ATTRIBUTES: {
    schema: keyValuePairs.optional(),
    description: 'Attributes of the process in traces.',
    example: 'deployment.environment.name=production',
    readBy: ['worker', 'api'],
  },
} as const satisfies Record<string, VariableDeclaration>;
