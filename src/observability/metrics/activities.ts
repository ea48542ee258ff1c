import type { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { msOptionalToNumber } from '@temporalio/common/lib/time.js';
import type { ActivityInterceptors, ActivityInterceptorsFactory } from '@temporalio/worker';
import { NON_RETRYABLE } from '../../workflows/shared/failures.js';

/** Failures that have a name of their own here; whatever else is thrown is `other`, so that labels stay few. */
const NAMED: ReadonlySet<string> = new Set([
  ...NON_RETRYABLE,
  'PaymentGatewayUnavailable',
  'PaymentGatewayMisconfigured',
  'CarrierUnavailable',
  'CarrierMisconfigured',
  'UnknownShipmentStatus',
  'MailUnavailable',
  'MailMisconfigured',
  'ReceiverUnavailable',
  'StoreUnavailable',
  'UnknownOperation',
]);

/** The server's own default where a policy does not say it. */
const LONGEST_BACKOFF_IN_FIRST = 100;

/**
 * What the SDK's metrics do not say of activities: why they fail, with which attempt they end, and how long they wait for
 * the next one. An attempt that times out has nobody here to tell of it.
 */
export const activityMetrics: ActivityInterceptorsFactory = (context): ActivityInterceptors => {
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
    // As the SDK's own metrics name it, so that they can be joined.
    outbound: {
      getMetricTags: ({ activityType, ...tags }, next) => next({ ...tags, activity_type: activityType! }),
    },
  };

  function fail(error: unknown): void {
    meter.createCounter('shop_activity_failures', undefined, 'Failed attempts of activities, by why').add(1, {
      error: nameOf(error),
      // An expected answer, like a declined card, is nothing to be woken for.
      expected: error instanceof ApplicationFailure && error.category === 'BENIGN',
    });
    const backoff = backoffAfter(error, context);
    if (backoff === undefined) end('failed');
    else
      meter.createHistogram('shop_activity_backoff', 'float', 'seconds', 'Waits for the next attempt').record(backoff);
  }

  function end(outcome: 'succeeded' | 'failed'): void {
    meter
      .createHistogram('shop_activity_attempts', 'int', undefined, 'The attempt with which an activity ended')
      .record(context.info.attempt, { outcome });
  }
};

function nameOf(error: unknown): string {
  const name = error instanceof ApplicationFailure ? error.type : undefined;
  return name && NAMED.has(name) ? name : 'other';
}

/** Seconds until the next attempt; undefined when there is none, also because it would begin after the activity's time. */
function backoffAfter(error: unknown, { info }: Pick<Context, 'info'>): number | undefined {
  const seconds = backoffByPolicy(error, info);
  const { scheduledTimestampMs, scheduleToCloseTimeoutMs } = info;
  // 0 is no limit.
  const endsAt = scheduleToCloseTimeoutMs > 0 ? scheduledTimestampMs + scheduleToCloseTimeoutMs : Infinity;
  return seconds === undefined || Date.now() + seconds * 1000 > endsAt ? undefined : seconds;
}

function backoffByPolicy(error: unknown, { attempt, retryPolicy = {} }: Context['info']): number | undefined {
  const { maximumAttempts = Infinity, nonRetryableErrorTypes = [], backoffCoefficient = 2 } = retryPolicy;
  const failure = error instanceof ApplicationFailure ? error : undefined;
  const type = failure ? failure.type : (error as Error | undefined)?.name;
  const isLast = maximumAttempts > 0 && attempt >= maximumAttempts;
  if (failure?.nonRetryable || isLast || nonRetryableErrorTypes.includes(type ?? '')) return undefined;
  const told = msOptionalToNumber(failure?.nextRetryDelay ?? undefined);
  if (told !== undefined) return told / 1000;
  const initial = msOptionalToNumber(retryPolicy.initialInterval) ?? 1_000;
  const longest = msOptionalToNumber(retryPolicy.maximumInterval) ?? initial * LONGEST_BACKOFF_IN_FIRST;
  return Math.min(initial * backoffCoefficient ** (attempt - 1), longest) / 1000;
}
