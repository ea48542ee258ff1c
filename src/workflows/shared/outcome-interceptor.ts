import { defaultPayloadConverter, TemporalFailure, type Headers } from '@temporalio/common';
import {
  ContinueAsNew,
  isCancellation,
  log,
  metricMeter,
  workflowInfo,
  type WorkflowInterceptors,
} from '@temporalio/workflow';
import { readHeader } from './headers.js';

/** Continue-as-new passes the start time of the first run to the next run in this header. */
const STARTED_AT_HEADER = 'shop-started-at';

/**
 * Logs how each workflow ended and records its duration across continue-as-new, by outcome. The outcome is the `status`
 * of the result, or else `completed`, `cancelled` or `failed`. Logs and records nothing during replay, and nothing for a
 * run that continues as new. Adds no command to the history, only a header to continue-as-new. Awaits nothing, so the
 * interceptor does not delay the end of the workflow.
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
            (result) => recordOutcome(outcomeOf(result)),
            (error: unknown) => {
              // Any other error is a bug, which blocks the workflow but does not end it.
              if (error instanceof TemporalFailure && !(error instanceof ContinueAsNew))
                recordOutcome(isCancellation(error) ? 'cancelled' : 'failed');
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
        // The SDK's own metrics use this label name, so queries can join both.
        getMetricTags: ({ workflowType, ...tags }, next) => next({ ...tags, workflow_type: workflowType! }),
      },
    ],
  };

  function recordOutcome(outcome: string): void {
    const seconds = Math.max(Date.now() - startedAt, 0) / 1000;
    // The SDK adds the id, the run id and the type of the workflow.
    log.info('workflow ended', { outcome, seconds });
    metricMeter
      .createHistogram(
        'shop_workflow_duration',
        'float',
        'seconds',
        'Durations of workflows across continue-as-new, by outcome',
      )
      .record(seconds, { outcome });
  }
};

/** Reads the start time of the first run, in milliseconds since the epoch. */
function readStartTime(headers: Headers): number | undefined {
  const startTime = readHeader(headers, STARTED_AT_HEADER);
  return typeof startTime === 'number' ? startTime : undefined;
}

/** The views that our workflows return have a `status` with few possible values. */
function outcomeOf(result: unknown): string {
  const { status } = (result ?? {}) as { status?: unknown };
  return typeof status === 'string' ? status : 'completed';
}
