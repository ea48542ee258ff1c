import { Runtime } from '@temporalio/worker';
import { createMailer } from './activities/mail.js';
import { createWebhooks } from './activities/webhooks.js';
import { createApprovalLinkSigner } from './approval-links/links.js';
import { createActivities } from './activities/index.js';
import { redactConfig } from './config/read.js';
import { coreLogFilter, createLogger, temporalLogger } from './observability/logger.js';
import { serveHealth } from './observability/health-server.js';
import { activityMetricsInterceptor } from './observability/metrics/activity-interceptor.js';
import { prometheusTelemetry } from './observability/metrics/worker-telemetry.js';
import { operations } from './batch-operations/index.js';
import { createOutgoingHttpClient } from './http-client/outgoing-http-client.js';
import { checkEnvironment, loadStartupConfig } from './startup/checks/index.js';
import { runProcess, type ProcessLifecycle } from './startup/run-process.js';
import { openStore } from './store/index.js';
import { hasWorkflows } from './temporal/task-queues.js';
import { openWorkerConnection } from './temporal/connections.js';
import { resolveWorkflowBundle } from './temporal/workflow-bundle.js';
import { startTracing, type Tracing } from './observability/tracing/index.js';
import { readConcurrencyLimits, createWorkers, FORCED_SHUTDOWN_SECONDS } from './temporal/workers.js';

/** Time limit for closing connections after the workers have stopped. */
const CLOSE_TIMEOUT_SECONDS = 4;

/** The worker process. Polls until SIGINT or SIGTERM, then lets running activities finish within the grace period. */
async function main({ onStop }: ProcessLifecycle): Promise<void> {
  const config = await loadStartupConfig('worker');
  const { METRICS_HOST: metricsHost, METRICS_PORT: metricsPort } = config;
  const metrics = metricsPort === undefined ? undefined : { host: metricsHost, port: metricsPort };
  // Created before tracing, because tracing logs its problems while it starts.
  let tracing: Tracing | undefined = undefined;
  const logger = createLogger('worker', config.LOG_LEVEL, () => tracing?.logFields() ?? {});
  tracing = await startTracing(config, {
    service: 'worker',
    partners: [config.PAYMENTS_URL, config.CARRIER_URL],
    onExportError: (problem) => logger.warn({ problem }, 'traces are not delivered'),
  });
  logger.info({ config: redactConfig(config) }, 'starting');
  await checkEnvironment('worker', config);
  Runtime.install({
    logger: temporalLogger(logger),
    // Otherwise the runtime handles signals during startup, when it cannot shut anything down yet.
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: coreLogFilter(config.TEMPORAL_CORE_LOG_LEVEL), forward: {} },
      ...(metrics && prometheusTelemetry(metrics)),
    },
  });

  const store = openStore({
    databaseUrl: config.DATABASE_URL,
    maxConnections: config.DATABASE_POOL_SIZE,
    onIdleError: (err) => logger.warn({ err }, 'lost a database connection'),
  });
  const outgoing = createOutgoingHttpClient({
    allowedHosts: config.OUTGOING_ALLOWED_HOSTS,
    allowPrivateAddresses: config.OUTGOING_ALLOW_PRIVATE,
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
    links: createApprovalLinkSigner(config.APPROVAL_LINK_SECRET),
    publicUrl: config.PUBLIC_URL,
    operations,
    ...(threshold !== undefined && stages && { orderApprovalPolicy: { threshold, stages } }),
  });
  const { TEMPORAL_DEPLOYMENT_NAME: deploymentName, TEMPORAL_WORKER_BUILD_ID: buildId } = config;
  const { PAYLOAD_ENCRYPTION_KEYS: encryptionKeys } = config;
  const connection = await openWorkerConnection(config);
  const workers = await createWorkers({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    ...(config.WORKER_TASK_QUEUES.some(hasWorkflows) && {
      workflowBundle: await resolveWorkflowBundle(config.WORKFLOW_BUNDLE, temporalLogger(logger), {
        traced: tracing !== undefined,
        encrypted: encryptionKeys !== undefined,
      }),
    }),
    encryptionKeys,
    activities,
    interceptors: {
      activity: [...(metrics ? [activityMetricsInterceptor] : []), ...(tracing ? [tracing.activityInterceptor] : [])],
    },
    ...(tracing && { sinks: tracing.sinks }),
    taskQueues: config.WORKER_TASK_QUEUES,
    concurrencyLimits: readConcurrencyLimits(config),
    ...(config.WORKER_MAX_CACHED_WORKFLOWS !== undefined && { maxCachedWorkflows: config.WORKER_MAX_CACHED_WORKFLOWS }),
    batchConcurrentChunks: config.BATCH_MAX_CONCURRENT_CHUNKS,
    paymentsPerSecond: config.PAYMENTS_PER_SECOND,
    ...(deploymentName !== undefined &&
      buildId !== undefined && { deploymentVersion: { name: deploymentName, buildId } }),
    shutdownGraceTime: config.SHUTDOWN_GRACE_SECONDS * 1000,
    shutdownForceTime: (config.SHUTDOWN_GRACE_SECONDS + FORCED_SHUTDOWN_SECONDS) * 1000,
  });
  const { HEALTH_HOST: host, HEALTH_PORT: port } = config;
  const health =
    port === undefined
      ? undefined
      : await serveHealth(
          {
            temporal: () => connection.workflowService.getSystemInfo({}).then(() => 'ok'),
            worker: () => {
              const silent = workers.unpolledTaskQueues();
              return silent.length ? `does not poll ${silent.join(', ')}` : 'ok';
            },
            store: () => store.checkWritable(),
          },
          { host, port, logger },
        );
  const stopWithinSeconds = config.SHUTDOWN_GRACE_SECONDS + FORCED_SHUTDOWN_SECONDS + CLOSE_TIMEOUT_SECONDS;
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
