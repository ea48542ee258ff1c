import { defaultPayloadConverter, TemporalFailure, type Headers } from '@temporalio/common';
import {
  ContinueAsNew,
  isCancellation,
  metricMeter,
  workflowInfo,
  type WorkflowInterceptors,
} from '@temporalio/workflow';
import { readHeader } from './headers.js';

/** When the first run of an entity began, told from run to run. */
const BEGAN = 'shop-began';

/**
 * Measures how long workflows live, from the first run to the last, by how they end: what their result says of itself, else
 * `completed`, `cancelled` or `failed`. On a replay nothing is counted, and no command is added to a history but a header
 * to those that continue as new. Nothing is awaited: the workflow ends at the same turn as without it.
 */
export const interceptors = (): WorkflowInterceptors => {
  let began = workflowInfo().startTime.getTime();
  return {
    inbound: [
      {
        execute(input, next) {
          began = toldIn(input.headers) ?? began;
          const outcome = next(input);
          outcome.then(
            (result) => end(outcomeIn(result)),
            (error: unknown) => {
              // Anything else is a bug, which stops the workflow and does not end it.
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
          next({ ...input, headers: { ...input.headers, [BEGAN]: defaultPayloadConverter.toPayload(began) } }),
        // As the SDK's own metrics name it, so that they can be joined.
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

function toldIn(headers: Headers): number | undefined {
  const told = readHeader(headers, BEGAN);
  return typeof told === 'number' ? told : undefined;
}

/** The views of our workflows say what became of them, each with a word out of a few. */
function outcomeIn(result: unknown): string {
  const { status } = (result ?? {}) as { status?: unknown };
  return typeof status === 'string' ? status : 'completed';
}
