import { PROFILE_VARIABLES } from '../../src/temporal/connection-profile.js';

/** Variables that configure a worker. */
const workerVariables = [
  'WORKER_TASK_QUEUES',
  'WORKER_TUNER',
  'WORKER_TARGET_MEMORY',
  'WORKER_TARGET_CPU',
  'WORKER_MAX_CONCURRENT_ACTIVITIES',
  'WORKER_MAX_CONCURRENT_WORKFLOW_TASKS',
  'WORKER_MAX_CACHED_WORKFLOWS',
  'PAYMENTS_PER_SECOND',
  'RECONCILE_AFTER_MINUTES',
  'NOTIFICATION_RETENTION_DAYS',
  'BATCH_ITEM_RETENTION_DAYS',
  'TEMPORAL_DEPLOYMENT_NAME',
  'TEMPORAL_WORKER_BUILD_ID',
  'TEMPORAL_CORE_LOG_LEVEL',
] as const;

/** Variables that configure whether and where traces are exported. */
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

/** Variables that configure the connection to Temporal, except address and namespace. */
export const connectionVariables = PROFILE_VARIABLES.filter(
  (name) => name !== 'TEMPORAL_ADDRESS' && name !== 'TEMPORAL_NAMESPACE',
);

/** Variables of the metrics endpoint. Each process has its own metrics port. */
const metricsVariables = ['METRICS_HOST', 'METRICS_PORT'] as const;

/**
 * Removes these shell variables from a child process, so that a worker of a test or benchmark gets only the variables
 * that its caller sets.
 */
export const unsetShellVariables = Object.freeze({
  ...unsetAll(workerVariables),
  ...unsetAll(connectionVariables),
  ...unsetAll(traceVariables),
  ...unsetAll(metricsVariables),
});

/** Variables that the application validates in src/config/. The stack only sets their defaults. */
export const applicationVariables = [
  'MAIL_FROM',
  'PUBLIC_URL',
  'APPROVAL_LINK_SECRET',
  'APPROVAL_WEBHOOK_SECRET',
  'OUTGOING_WEBHOOK_SECRET',
  'SLACK_BOT_TOKEN',
  'SLACK_SIGNING_SECRET',
  'SLACK_APPROVERS',
  'SLACK_API_URL',
  'CURSOR_SECRET',
  'API_KEYS',
  'JWT_ISSUER',
  'JWT_AUDIENCE',
  'JWT_JWKS_URL',
  'JWT_ID_CLAIM',
  'JWT_ROLES_CLAIM',
  'OIDC_CLIENT_ID',
  'OIDC_CLIENT_SECRET',
  'OIDC_SCOPE',
  'CORS_ORIGINS',
  'PAYLOAD_ENCRYPTION_KEYS',
  'CODEC_ORIGINS',
  'CONSOLE_LINKS',
  'TEMPORAL_UI_URL',
  'TRACE_URL',
  'LOGS_URL',
  'HSTS_MAX_AGE',
  'RATE_LIMIT_PER_MINUTE',
  'MAX_EVENT_LOOP_DELAY_MS',
  'OUTGOING_ALLOWED_HOSTS',
  'OUTGOING_ALLOW_PRIVATE',
  'ORDER_APPROVAL_THRESHOLD',
  'ORDER_APPROVAL_STAGES',
  'APPROVAL_NAMESPACE',
  'IDEMPOTENCY_KEY_RETENTION_HOURS',
  'TEMPORAL_RETENTION_DAYS',
  'WORKFLOW_BUNDLE',
  'CARRIER',
  'PAYMENTS',
  'STRIPE_SECRET_KEY',
  'STRIPE_API_URL',
  'STRIPE_WEBHOOK_SECRET',
  ...workerVariables,
  ...connectionVariables,
  ...traceVariables,
] as const;

export type MetricsVariable = (typeof metricsVariables)[number];
export type ApplicationVariable = (typeof applicationVariables)[number];

/** Returns the given variables, all with the value undefined. */
export function unsetAll<Name extends string>(names: readonly Name[]): Record<Name, undefined> {
  return Object.fromEntries(names.map((name) => [name, undefined])) as Record<Name, undefined>;
}
