import { defaultPayloadConverter, TemporalFailure, type Headers } from '@temporalio/common';
import {
  ContinueAsNew,
  isCancellation,
  metricMeter,
  workflowInfo,
  type WorkflowInterceptors,
} from '@temporalio/workflow';
import { readHeader } from './headers.js';

/** Header with the start time of the first run, which continue-as-new passes on. */
const STARTED_AT_HEADER = 'shop-started-at';

/**
 * Measures the duration of workflows across continue-as-new, by outcome: the `status` of the result, otherwise
 * `completed`, `cancelled` or `failed`. Counts nothing during replay. Adds no command to the history, only a header to
 * continue-as-new. Awaits nothing, so it does not change when the workflow ends.
 */
export const interceptors = (): WorkflowInterceptors => {
  let startedAt = workflowInfo().startTime.getTime();
  return {
    inbound: [
      {
        execute(input, next) {
          startedAt = readStartTime(input.headers) ?? startedAt;
          const outcome = next(input);
          outcome.then(
            (result) => recordDuration(outcomeOf(result)),
            (error: unknown) => {
              // Any other error is a bug. It blocks the workflow but does not end it.
              if (error instanceof TemporalFailure && !(error instanceof ContinueAsNew))
                recordDuration(isCancellation(error) ? 'cancelled' : 'failed');
            },
          );
          return outcome;
        },
      },
    ],
    outbound: [
      {
        continueAsNew: (input, next) =>
          next({
            ...input,
            headers: { ...input.headers, [STARTED_AT_HEADER]: defaultPayloadConverter.toPayload(startedAt) },
          }),
        // The label name of the SDK's own metrics, so that queries can join them.
        getMetricTags: ({ workflowType, ...tags }, next) => next({ ...tags, workflow_type: workflowType! }),
      },
    ],
  };

  function recordDuration(outcome: string): void {
    metricMeter
      .createHistogram(
        'shop_workflow_duration',
        'float',
        'seconds',
        'Durations of workflows across continue-as-new, by outcome',
      )
      .record(Math.max(Date.now() - startedAt, 0) / 1000, { outcome });
  }
};

/** In milliseconds since the epoch. */
function readStartTime(headers: Headers): number | undefined {
  const startTime = readHeader(headers, STARTED_AT_HEADER);
  return typeof startTime === 'number' ? startTime : undefined;
}

/** The result views of our workflows have a `status` from a small set of values. */
function outcomeOf(result: unknown): string {
  const { status } = (result ?? {}) as { status?: unknown };
  return typeof status === 'string' ? status : 'completed';
}
