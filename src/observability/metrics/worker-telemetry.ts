import type { TelemetryOptions } from '@temporalio/worker';
import type { ListenAddress } from '../internal-server.js';

/** Buckets in seconds for workflow durations, from immediate results to weeks of waiting for people and carriers. */
const WORKFLOW_DURATION_BUCKETS = [
  0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400, 259_200, 604_800, 1_209_600, 2_592_000,
];
/**
 * Buckets for activities and for the time in a task queue, from a database statement to a batch chunk of ten minutes.
 */
const ACTIVITY_LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600];
/** Buckets for short operations that block a worker: workflow tasks and requests to the server. */
const TASK_LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const ATTEMPT_BUCKETS = [1, 2, 3, 5, 7, 10, 15, 30];
/** Buckets for retry delays, from the first retry of an activity to the longest delay of a webhook. */
const BACKOFF_BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600];

/** Histogram buckets by metric name, without the prefix `temporal_` and the unit suffix. */
const BUCKETS_BY_METRIC: Record<string, number[]> = {
  shop_workflow_duration: WORKFLOW_DURATION_BUCKETS,
  shop_activity_attempts: ATTEMPT_BUCKETS,
  shop_activity_backoff: BACKOFF_BUCKETS,
  workflow_endtoend_latency: WORKFLOW_DURATION_BUCKETS,
  activity_succeed_endtoend_latency: WORKFLOW_DURATION_BUCKETS,
  activity_execution_latency: ACTIVITY_LATENCY_BUCKETS,
  activity_schedule_to_start_latency: ACTIVITY_LATENCY_BUCKETS,
  workflow_task_schedule_to_start_latency: ACTIVITY_LATENCY_BUCKETS,
  workflow_task_execution_latency: TASK_LATENCY_BUCKETS,
  workflow_task_replay_latency: TASK_LATENCY_BUCKETS,
  request_latency: TASK_LATENCY_BUCKETS,
  long_request_latency: ACTIVITY_LATENCY_BUCKETS,
};

/** Serves the metrics of the SDK and of our workflows and activities at `GET /metrics`. */
export function prometheusTelemetry({ host, port }: ListenAddress): Pick<TelemetryOptions, 'metrics'> {
  return {
    metrics: {
      // Omits the label with the service name, because its value is the same for every metric.
      attachServiceName: false,
      prometheus: {
        bindAddress: `${host.includes(':') ? `[${host}]` : host}:${port}`,
        countersTotalSuffix: true,
        unitSuffix: true,
        useSecondsForDurations: true,
        histogramBucketOverrides: BUCKETS_BY_METRIC,
      },
    },
  };
}
