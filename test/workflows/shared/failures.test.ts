import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  RetryState,
  TimeoutFailure,
  type TemporalFailure,
} from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import {
  isRejection,
  NON_RETRYABLE,
  reasonOf,
  REJECTIONS,
  rootFailure,
} from '../../../src/workflows/shared/failures.js';

const inActivity = (cause?: Error) =>
  new ActivityFailure('activity failed', 'chargePayment', '1', RetryState.MAXIMUM_ATTEMPTS_REACHED, 'worker', cause);
const inChild = (cause: Error) =>
  new ChildWorkflowFailure(
    'default',
    { workflowId: 'w', runId: 'r' },
    'approval',
    RetryState.NON_RETRYABLE_FAILURE,
    cause,
  );
const declined = ApplicationFailure.nonRetryable('no', 'CardDeclined');

describe('rootFailure', () => {
  test.each<[string, TemporalFailure]>([
    ['thrown by the workflow itself', declined],
    ['of an activity', inActivity(declined)],
    ['of an activity in a child workflow', inChild(inActivity(declined))],
  ])('finds the root of a failure %s', (_how, failure) => {
    expect(rootFailure(failure)).toBe(declined);
  });

  test('returns a failure without a cause as it is', () => {
    const failure = inActivity();

    expect(rootFailure(failure)).toBe(failure);
  });
});

describe('reasonOf', () => {
  test.each<[string, TemporalFailure, { type: string; message: string }]>([
    ['has a type', inActivity(declined), { type: 'CardDeclined', message: 'no' }],
    ['has no type', ApplicationFailure.create({ message: 'oh' }), { type: 'ApplicationFailure', message: 'oh' }],
    ['is a cancellation', inActivity(new CancelledFailure('stop')), { type: 'CancelledFailure', message: 'stop' }],
    [
      'is a timeout',
      inActivity(new TimeoutFailure('late', undefined, 'START_TO_CLOSE')),
      { type: 'TimeoutFailure', message: 'late' },
    ],
  ])('names the reason of a failure that %s', (_what, failure, reason) => {
    expect(reasonOf(failure)).toEqual(reason);
  });
});

describe('isRejection', () => {
  test.each(REJECTIONS)('includes %s, which is not retried', (type) => {
    expect(isRejection(inActivity(ApplicationFailure.nonRetryable('no', type)))).toBe(true);
    expect(NON_RETRYABLE).toContain(type);
  });

  test.each(['InvalidInput', 'PaymentGatewayUnavailable', 'DeliveryTimeout', 'ChargeVoided'])('excludes %s', (type) => {
    expect(isRejection(inActivity(ApplicationFailure.nonRetryable('no', type)))).toBe(false);
  });
});
