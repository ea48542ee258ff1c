import { Runtime } from '@temporalio/worker';
import { createMailer } from './activities/mail.js';
import { createWebhooks } from './activities/webhooks.js';
import { createApprovalLinks } from './approval-links/links.js';
import { createActivities } from './activities/index.js';
import { printable } from './config.js';
import { coreLogFilter, createLogger, temporalLogger } from './observability/logger.js';
import { serveHealth } from './observability/health.js';
import { activityMetrics } from './observability/metrics/activities.js';
import { prometheusEndpoint } from './observability/metrics/worker.js';
import { operations } from './batch-operations/index.js';
import { createOutgoing } from './http-client/outgoing.js';
import { checkAround, startConfig } from './start/checks.js';
import { runProcess, type Lifetime } from './start/run.js';
import { openStore } from './store/index.js';
import { hasWorkflows } from './temporal/task-queues.js';
import { connectWorker } from './temporal/connections.js';
import { workflowBundle } from './temporal/workflow-bundle.js';
import { startTracing, type Tracing } from './observability/tracing/index.js';
import { concurrencyOf, createWorkers, FORCE_AFTER_GRACE_SECONDS } from './temporal/workers.js';

/** Time limit for closing connections after the workers have stopped. */
const CLOSE_LIMIT_SECONDS = 4;

/** The worker process. Polls until SIGINT or SIGTERM, then lets running activities finish within the grace period. */
async function main({ onStop }: Lifetime): Promise<void> {
  const config = await startConfig('worker');
  const { METRICS_HOST: metricsHost, METRICS_PORT: metricsPort } = config;
  const metrics = metricsPort === undefined ? undefined : { host: metricsHost, port: metricsPort };
  // Created before tracing, because tracing logs its problems while it starts.
  let tracing: Tracing | undefined = undefined;
  const logger = createLogger('worker', config.LOG_LEVEL, () => tracing?.logFields() ?? {});
  tracing = await startTracing(config, {
    service: 'worker',
    partners: [config.PAYMENTS_URL, config.CARRIER_URL],
    onProblem: (problem) => logger.warn({ problem }, 'traces are not delivered'),
  });
  logger.info({ config: printable(config) }, 'starting');
  await checkAround('worker', config);
  Runtime.install({
    logger: temporalLogger(logger),
    // Otherwise the runtime handles signals during startup, when it cannot shut anything down yet.
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: coreLogFilter(config.TEMPORAL_CORE_LOG_LEVEL), forward: {} },
      ...(metrics && prometheusEndpoint(metrics)),
    },
  });

  const store = openStore({
    databaseUrl: config.DATABASE_URL,
    maxConnections: config.DATABASE_POOL_SIZE,
    onIdleError: (err) => logger.warn({ err }, 'lost a database connection'),
  });
  const outgoing = createOutgoing({
    allowedHosts: config.OUTGOING_ALLOWED_HOSTS,
    allowPrivate: config.OUTGOING_ALLOW_PRIVATE,
  });
  const { ORDER_APPROVAL_THRESHOLD: threshold, ORDER_APPROVAL_STAGES: stages } = config;
  const activities = createActivities({
    store,
    paymentsUrl: config.PAYMENTS_URL,
    paymentsKeyRetentionHours: config.PAYMENTS_KEY_RETENTION_HOURS,
    carrierUrl: config.CARRIER_URL,
    carrierKeyRetentionHours: config.CARRIER_KEY_RETENTION_HOURS,
    mailer: createMailer({ smtpUrl: config.SMTP_URL, from: config.MAIL_FROM }),
    webhooks: createWebhooks({ outgoing, secrets: config.OUTGOING_WEBHOOK_SECRET }),
    outgoing,
    links: createApprovalLinks(config.APPROVAL_LINK_SECRET),
    publicUrl: config.PUBLIC_URL,
    operations,
    ...(threshold !== undefined && stages && { orderApproval: { threshold, stages } }),
  });
  const { TEMPORAL_DEPLOYMENT_NAME: deploymentName, TEMPORAL_WORKER_BUILD_ID: buildId } = config;
  const { PAYLOAD_ENCRYPTION_KEYS: encryptionKeys } = config;
  const connection = await connectWorker(config);
  const workers = await createWorkers({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    ...(config.WORKER_QUEUES.some(hasWorkflows) && {
      workflowBundle: await workflowBundle(config.WORKFLOW_BUNDLE, temporalLogger(logger), {
        traced: tracing !== undefined,
        encrypted: encryptionKeys !== undefined,
      }),
    }),
    encryptionKeys,
    activities,
    interceptors: {
      activity: [...(metrics ? [activityMetrics] : []), ...(tracing ? [tracing.activityInterceptors] : [])],
    },
    ...(tracing && { sinks: tracing.sinks }),
    queues: config.WORKER_QUEUES,
    concurrency: concurrencyOf(config),
    ...(config.WORKER_CACHED_WORKFLOWS !== undefined && { maxCachedWorkflows: config.WORKER_CACHED_WORKFLOWS }),
    batchTasksAtOnce: config.BATCH_TASKS_AT_ONCE,
    paymentsPerSecond: config.PAYMENTS_PER_SECOND,
    ...(deploymentName !== undefined && buildId !== undefined && { deployment: { name: deploymentName, buildId } }),
    shutdownGraceTime: config.SHUTDOWN_GRACE_SECONDS * 1000,
    shutdownForceTime: (config.SHUTDOWN_GRACE_SECONDS + FORCE_AFTER_GRACE_SECONDS) * 1000,
  });
  const { HEALTH_HOST: host, HEALTH_PORT: port } = config;
  const health =
    port === undefined
      ? undefined
      : await serveHealth(
          {
            temporal: () => connection.workflowService.getSystemInfo({}).then(() => 'ok'),
            worker: () => {
              const silent = workers.silent();
              return silent.length ? `does not poll ${silent.join(', ')}` : 'ok';
            },
            store: () => store.writability(),
          },
          { host, port, logger },
        );
  const stopWithinSeconds = config.SHUTDOWN_GRACE_SECONDS + FORCE_AFTER_GRACE_SECONDS + CLOSE_LIMIT_SECONDS;
  onStop((signal) => {
    logger.info({ signal }, 'stopping');
    workers.shutdown();
  }, stopWithinSeconds * 1000);
  try {
    await workers.run();
  } finally {
    await health?.close();
    await connection.close();
    await outgoing.close();
    await store.close();
    await tracing?.shutdown();
  }
  logger.info('stopped');
}

await runProcess(main);
