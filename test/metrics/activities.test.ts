import { ApplicationFailure, CancelledFailure, type MetricMeter, type MetricTags } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { refused } from '../../src/activities/failures.js';
import { activityMetrics } from '../../src/observability/metrics/activities.js';

type Recorded = [name: string, value: number, tags: MetricTags];

/** Runs an attempt of an activity and tells what was measured of it. */
async function measured(
  attempt: () => Promise<unknown>,
  info: ConstructorParameters<typeof MockActivityEnvironment>[0] = {},
  cancelled = false,
): Promise<Recorded[]> {
  const recorded: Recorded[] = [];
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
    { interceptors: [activityMetrics], metricMeter, logger: new DefaultLogger('ERROR') },
  );
  if (cancelled) env.cancel();
  await env.run(attempt).catch(() => undefined);
  return recorded.map(([name, value, { activity_type: _type, namespace: _namespace, taskQueue: _queue, ...tags }]) => [
    name,
    value,
    tags,
  ]);
}

const fails = (failure: Error) => async () => {
  throw failure;
};
const unavailable = ApplicationFailure.create({ type: 'PaymentGatewayUnavailable' });

test('when an attempt succeeds, then it is told which one it was', async () => {
  expect(await measured(async () => 'done', { attempt: 3 })).toEqual([
    ['shop_activity_attempts', 3, { outcome: 'succeeded' }],
  ]);
});

test('when it fails and is repeated, then why, and how long it waits for that', async () => {
  expect(await measured(fails(unavailable), { attempt: 4 })).toEqual([
    ['shop_activity_failures', 1, { error: 'PaymentGatewayUnavailable', expected: false }],
    ['shop_activity_backoff', 8, {}],
  ]);
});

test('when it has failed often, then it waits no longer than the policy says', async () => {
  expect(await measured(fails(unavailable), { attempt: 40 })).toContainEqual(['shop_activity_backoff', 60, {}]);
});

test('when the failure says itself when to come again, then that is how long it waits', async () => {
  const failure = ApplicationFailure.create({ type: 'MailUnavailable', nextRetryDelay: '90 seconds' });
  expect(await measured(fails(failure))).toContainEqual(['shop_activity_backoff', 90, {}]);
});

test.each([
  ['says so itself', ApplicationFailure.nonRetryable('no', 'RefusedByOutside'), {}],
  [
    'is of a type that is not',
    ApplicationFailure.create({ type: 'ReceiverGone' }),
    { nonRetryableErrorTypes: ['ReceiverGone'] },
  ],
  ['was the last attempt', unavailable, { maximumAttempts: 2 }],
])('when a failure is not repeated because it %s, then the activity has failed', async (_, failure, retryPolicy) => {
  expect(await measured(fails(failure), { attempt: 2, retryPolicy })).toEqual([
    ['shop_activity_failures', 1, { error: failure.type, expected: false }],
    ['shop_activity_attempts', 2, { outcome: 'failed' }],
  ]);
});

test.each([
  [10_500, 'ends', ['shop_activity_attempts', 4, { outcome: 'failed' }]],
  [60_000, 'goes on', ['shop_activity_backoff', 8, {}]],
])('when 5 s of its %i ms have gone and it would wait 8 s, then it %s', async (limit, _, told) => {
  const info = { attempt: 4, scheduledTimestampMs: Date.now() - 5_000, scheduleToCloseTimeoutMs: limit };
  expect((await measured(fails(unavailable), info))[1]).toEqual(told);
});

test('when the answer is no, then it is expected', async () => {
  expect(await measured(fails(refused('CardDeclined', 'no')))).toContainEqual([
    'shop_activity_failures',
    1,
    { error: 'CardDeclined', expected: true },
  ]);
});

test.each([new TypeError('a bug'), ApplicationFailure.create({ type: 'customer ada' })])(
  'when it fails with what has no name here, then it is one of the others',
  async (failure) => {
    expect(await measured(fails(failure))).toContainEqual([
      'shop_activity_failures',
      1,
      { error: 'other', expected: false },
    ]);
  },
);

test('when it is cancelled, then it has not failed', async () => {
  expect(await measured(fails(new CancelledFailure('CANCELLED')), {}, true)).toEqual([]);
});
