import { Runtime, type NativeConnection } from '@temporalio/worker';
import { coreLogFilter, temporalLogger } from '../../observability/logger.js';
import { activityMetricsInterceptor } from '../../observability/metrics/activity-interceptor.js';
import { prometheusTelemetry } from '../../observability/metrics/worker-telemetry.js';
import { hasWorkflows } from '../../temporal/task-queues.js';
import { resolveWorkflowBundle } from '../../temporal/workflow-bundle.js';
import { createWorkers, FORCED_SHUTDOWN_SECONDS, readConcurrencyLimits, type Workers } from '../../temporal/workers.js';
import type { Resources } from '../resources.js';
import { createConfiguredActivities } from './activities.js';

/** Configures the logs and metrics of the SDK core. Must be called before the first connection. */
export function installRuntime({ config, logger }: Resources<'worker'>): void {
  const { METRICS_HOST: host, METRICS_PORT: port } = config;
  Runtime.install({
    logger: temporalLogger(logger),
    // Disables the signal handlers of the runtime. During startup, they would intercept a signal but could not stop the
    // process.
    shutdownSignals: [],
    telemetryOptions: {
      logging: { filter: coreLogFilter(config.TEMPORAL_CORE_LOG_LEVEL), forward: {} },
      ...(port !== undefined && prometheusTelemetry({ host, port })),
    },
  });
}

/** Creates the workers of the configured task queues. The workers start to poll when `run` is called. */
export async function createConfiguredWorkers(
  resources: Resources<'worker'>,
  connection: NativeConnection,
): Promise<Workers> {
  const { config, tracing } = resources;
  const { TEMPORAL_DEPLOYMENT_NAME: deploymentName, TEMPORAL_WORKER_BUILD_ID: buildId } = config;
  return await createWorkers({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    approvalNamespace: config.APPROVAL_NAMESPACE,
    ...(config.WORKER_TASK_QUEUES.some(hasWorkflows) && { workflowBundle: await readBundle(resources) }),
    encryptionKeys: config.PAYLOAD_ENCRYPTION_KEYS,
    activities: await createConfiguredActivities(resources, connection),
    interceptors: {
      activity: [
        ...(config.METRICS_PORT === undefined ? [] : [activityMetricsInterceptor]),
        ...(tracing ? [tracing.activityInterceptor] : []),
      ],
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
}

async function readBundle({ config, logger, tracing }: Resources<'worker'>) {
  return await resolveWorkflowBundle(config.WORKFLOW_BUNDLE, temporalLogger(logger), {
    traced: tracing !== undefined,
    encrypted: config.PAYLOAD_ENCRYPTION_KEYS !== undefined,
  });
}
