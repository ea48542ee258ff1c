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
import { reasonOf, rootFailure } from '../../../src/workflows/shared/failures.js';

const wrapInActivityFailure = (cause?: Error) =>
  new ActivityFailure('activity failed', 'chargePayment', '1', RetryState.MAXIMUM_ATTEMPTS_REACHED, 'worker', cause);
const wrapInChildFailure = (cause: Error) =>
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
    ['of an activity', wrapInActivityFailure(declined)],
    ['of an activity in a child workflow', wrapInChildFailure(wrapInActivityFailure(declined))],
  ])('rootFailure finds the root cause of a failure %s', (_description, failure) => {
    expect(rootFailure(failure)).toBe(declined);
  });

  test('rootFailure returns a failure without a cause unchanged', () => {
    const failure = wrapInActivityFailure();

    expect(rootFailure(failure)).toBe(failure);
  });
});

describe('reasonOf', () => {
  test.each<[string, TemporalFailure, { type: string; message: string }]>([
    ['has a type', wrapInActivityFailure(declined), { type: 'CardDeclined', message: 'no' }],
    ['has no type', ApplicationFailure.create({ message: 'oh' }), { type: 'ApplicationFailure', message: 'oh' }],
    [
      'is a cancellation',
      wrapInActivityFailure(new CancelledFailure('stop')),
      { type: 'CancelledFailure', message: 'stop' },
    ],
    [
      'is a timeout',
      wrapInActivityFailure(new TimeoutFailure('late', undefined, 'START_TO_CLOSE')),
      { type: 'TimeoutFailure', message: 'late' },
    ],
  ])('reasonOf returns type and message of a failure that %s', (_description, failure, reason) => {
    expect(reasonOf(failure)).toEqual(reason);
  });
});
