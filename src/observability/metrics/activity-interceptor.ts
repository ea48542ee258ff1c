import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { ActivityInterceptors, ActivityInterceptorsFactory } from '@temporalio/worker';
import { msOptionalToNumber } from '../../temporal/sdk/time.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../../failures/rejections.js';

/** Failure types that have their own label value. All other types get `other`, which bounds the number of series. */
const LABELLED_FAILURE_TYPES: ReadonlySet<string> = new Set([
  ...NON_RETRYABLE_ERROR_TYPES,
  'PaymentGatewayUnavailable',
  'PaymentGatewayMisconfigured',
  'CarrierUnavailable',
  'CarrierMisconfigured',
  'UnknownShipmentStatus',
  'MailUnavailable',
  'MailMisconfigured',
  'SlackUnavailable',
  'SlackMisconfigured',
  'ReceiverUnavailable',
  'StoreUnavailable',
  'UnknownOperation',
]);

/** If a retry policy has no maximum interval, the server uses the initial interval times this factor as the maximum. */
const DEFAULT_MAX_INTERVAL_FACTOR = 100;

/**
 * Records activity metrics that the SDK does not have: failures by type, the number of attempts, and retry delays. An
 * attempt that times out is not counted, because no code runs at that moment.
 */
export const activityMetricsInterceptor: ActivityInterceptorsFactory = (context): ActivityInterceptors => {
  const { metricMeter: meter } = context;
  return {
    inbound: {
      async execute(input, next) {
        try {
          const result = await next(input);
          end('succeeded');
          return result;
        } catch (error) {
          if (!(error instanceof CancelledFailure && context.cancellationSignal.aborted)) fail(error);
          throw error;
        }
      },
    },
    // Uses the label name of the SDK's own metrics, so that queries can join both.
    outbound: {
      getMetricTags: ({ activityType, ...tags }, next) => next({ ...tags, activity_type: activityType! }),
    },
  };

  function fail(error: unknown): void {
    meter.createCounter('shop_activity_failures', undefined, 'Failed attempts of activities, by failure type').add(1, {
      error_type: failureTypeLabel(error),
      // Expected results, such as a declined card, must not trigger alerts.
      expected: error instanceof ApplicationFailure && error.category === 'BENIGN',
    });
    const backoff = nextBackoffSeconds(error, context);
    if (backoff === undefined) end('failed');
    else
      meter
        .createHistogram('shop_activity_backoff', 'float', 'seconds', 'Delays before the next attempt of an activity')
        .record(backoff);
  }

  function end(outcome: 'succeeded' | 'failed'): void {
    meter
      .createHistogram('shop_activity_attempts', 'int', undefined, 'Number of the attempt that ended an activity')
      .record(context.info.attempt, { outcome });
  }
};

function failureTypeLabel(error: unknown): string {
  const type = error instanceof ApplicationFailure ? error.type : undefined;
  return type && LABELLED_FAILURE_TYPES.has(type) ? type : 'other';
}

/**
 * Returns the seconds until the next attempt. Returns undefined when there is no next attempt, for example because it
 * would start after the activity's timeout.
 */
function nextBackoffSeconds(error: unknown, { info }: Pick<Context, 'info'>): number | undefined {
  const seconds = policyBackoffSeconds(error, info);
  const { scheduledTimestampMs, scheduleToCloseTimeoutMs } = info;
  // 0 means no limit.
  const endsAt = scheduleToCloseTimeoutMs > 0 ? scheduledTimestampMs + scheduleToCloseTimeoutMs : Infinity;
  return seconds === undefined || Date.now() + seconds * 1000 > endsAt ? undefined : seconds;
}

function policyBackoffSeconds(error: unknown, { attempt, retryPolicy = {} }: Context['info']): number | undefined {
  const { maximumAttempts = Infinity, nonRetryableErrorTypes = [], backoffCoefficient = 2 } = retryPolicy;
  const failure = error instanceof ApplicationFailure ? error : undefined;
  const type = failure ? failure.type : (error as Error | undefined)?.name;
  const isLast = maximumAttempts > 0 && attempt >= maximumAttempts;
  if (failure?.nonRetryable || isLast || nonRetryableErrorTypes.includes(type ?? '')) return undefined;
  const overriddenDelayMs = msOptionalToNumber(failure?.nextRetryDelay ?? undefined);
  if (overriddenDelayMs !== undefined) return overriddenDelayMs / 1000;
  const initialMs = msOptionalToNumber(retryPolicy.initialInterval) ?? 1_000;
  const maximumMs = msOptionalToNumber(retryPolicy.maximumInterval) ?? initialMs * DEFAULT_MAX_INTERVAL_FACTOR;
  return Math.min(initialMs * backoffCoefficient ** (attempt - 1), maximumMs) / 1000;
}
