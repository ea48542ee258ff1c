import { ApplicationFailure, CancelledFailure, type MetricMeter, type MetricTags } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { rejectionFailure } from '../../../src/failures/rejections.js';
import { activityMetricsInterceptor } from '../../../src/observability/metrics/activity-interceptor.js';

type RecordedMetric = [name: string, value: number, tags: MetricTags];

/** Runs one attempt of an activity and returns the recorded metrics. */
async function recordMetricsOf(
  attempt: () => Promise<unknown>,
  info: ConstructorParameters<typeof MockActivityEnvironment>[0] = {},
  cancelled = false,
): Promise<RecordedMetric[]> {
  const recorded: RecordedMetric[] = [];
  const metric =
    (name: string) =>
    (value: number, tags: MetricTags = {}) =>
      void recorded.push([name, value, tags]);
  const metricMeter = {
    createCounter: (name: string) => ({ add: metric(name) }),
    createHistogram: (name: string) => ({ record: metric(name) }),
  } as unknown as MetricMeter;
  const env = new MockActivityEnvironment(
    {
      retryPolicy: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
      scheduleToCloseTimeoutMs: 0,
      ...info,
    },
    { interceptors: [activityMetricsInterceptor], metricMeter, logger: new DefaultLogger('ERROR') },
  );
  if (cancelled) env.cancel();
  await env.run(attempt).catch(() => undefined);
  return recorded.map(([name, value, { activity_type: _type, namespace: _namespace, taskQueue: _queue, ...tags }]) => [
    name,
    value,
    tags,
  ]);
}

const failWith = (failure: Error) => async () => {
  throw failure;
};
const unavailable = ApplicationFailure.create({ type: 'PaymentGatewayUnavailable' });

test('records the attempt number when an activity succeeds', async () => {
  expect(await recordMetricsOf(async () => 'done', { attempt: 3 })).toEqual([
    ['shop_activity_attempts', 3, { outcome: 'succeeded' }],
  ]);
});

test('records the reason and the retry delay of a failed attempt', async () => {
  expect(await recordMetricsOf(failWith(unavailable), { attempt: 4 })).toEqual([
    ['shop_activity_failures', 1, { error_type: 'PaymentGatewayUnavailable', expected: false }],
    ['shop_activity_backoff', 8, {}],
  ]);
});

test('the recorded retry delay does not exceed the maximum interval of the retry policy', async () => {
  expect(await recordMetricsOf(failWith(unavailable), { attempt: 40 })).toContainEqual([
    'shop_activity_backoff',
    60,
    {},
  ]);
});

test('records the retry delay that the failure sets with nextRetryDelay', async () => {
  const failure = ApplicationFailure.create({ type: 'MailUnavailable', nextRetryDelay: '90 seconds' });
  expect(await recordMetricsOf(failWith(failure))).toContainEqual(['shop_activity_backoff', 90, {}]);
});

test.each([
  ['is non-retryable', ApplicationFailure.nonRetryable('no', 'RejectedByExternalSystem'), {}],
  [
    'has a non-retryable type',
    ApplicationFailure.create({ type: 'ReceiverGone' }),
    { nonRetryableErrorTypes: ['ReceiverGone'] },
  ],
  ['occurs in the last attempt', unavailable, { maximumAttempts: 2 }],
])('counts an activity as failed when its failure %s', async (_, failure, retryPolicy) => {
  expect(await recordMetricsOf(failWith(failure), { attempt: 2, retryPolicy })).toEqual([
    ['shop_activity_failures', 1, { error_type: failure.type, expected: false }],
    ['shop_activity_attempts', 2, { outcome: 'failed' }],
  ]);
});

test.each([
  [10_500, 'fails the activity', ['shop_activity_attempts', 4, { outcome: 'failed' }]],
  [60_000, 'is retried', ['shop_activity_backoff', 8, {}]],
])(
  'after 5 s of a schedule-to-close timeout of %i ms, a failed attempt with a retry delay of 8 s %s',
  async (limit, _, expected) => {
    const info = { attempt: 4, scheduledTimestampMs: Date.now() - 5_000, scheduleToCloseTimeoutMs: limit };
    expect((await recordMetricsOf(failWith(unavailable), info))[1]).toEqual(expected);
  },
);

test('records a rejection by a business rule with the label expected=true', async () => {
  expect(await recordMetricsOf(failWith(rejectionFailure('CardDeclined', 'no')))).toContainEqual([
    'shop_activity_failures',
    1,
    { error_type: 'CardDeclined', expected: true },
  ]);
});

test.each([new TypeError('a bug'), ApplicationFailure.create({ type: 'customer ada' })])(
  'records an unknown failure type with the error type "other"',
  async (failure) => {
    expect(await recordMetricsOf(failWith(failure))).toContainEqual([
      'shop_activity_failures',
      1,
      { error_type: 'other', expected: false },
    ]);
  },
);

test('records no failure for a cancelled activity', async () => {
  expect(await recordMetricsOf(failWith(new CancelledFailure('CANCELLED')), {}, true)).toEqual([]);
});
