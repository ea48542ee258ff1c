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
  let began = workflowInfo().startTime.getTime();
  return {
    inbound: [
      {
        execute(input, next) {
          began = readStartTime(input.headers) ?? began;
          const outcome = next(input);
          outcome.then(
            (result) => end(outcomeOf(result)),
            (error: unknown) => {
              // Any other error is a bug. It blocks the workflow but does not end it.
              if (error instanceof TemporalFailure && !(error instanceof ContinueAsNew))
                end(isCancellation(error) ? 'cancelled' : 'failed');
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
            headers: { ...input.headers, [STARTED_AT_HEADER]: defaultPayloadConverter.toPayload(began) },
          }),
        // The label name of the SDK's own metrics, so that queries can join them.
        getMetricTags: ({ workflowType, ...tags }, next) => next({ ...tags, workflow_type: workflowType! }),
      },
    ],
  };

  function end(outcome: string): void {
    metricMeter
      .createHistogram('shop_workflow_duration', 'float', 'seconds', 'Lives of workflows, by how they ended')
      .record(Math.max(Date.now() - began, 0) / 1000, { outcome });
  }
};

function readStartTime(headers: Headers): number | undefined {
  const told = readHeader(headers, STARTED_AT_HEADER);
  return typeof told === 'number' ? told : undefined;
}

/** The result views of our workflows have a `status` from a small set of values. */
function outcomeOf(result: unknown): string {
  const { status } = (result ?? {}) as { status?: unknown };
  return typeof status === 'string' ? status : 'completed';
}
