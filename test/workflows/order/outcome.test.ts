import { ActivityFailure, ApplicationFailure, RetryState } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { NON_RETRYABLE_ERROR_TYPES, ORDER_REJECTION_TYPES } from '../../../src/failures/rejections.js';
import { isOrderRejection } from '../../../src/workflows/order/outcome.js';

const wrapInActivityFailure = (cause: Error) =>
  new ActivityFailure('activity failed', 'chargePayment', '1', RetryState.MAXIMUM_ATTEMPTS_REACHED, 'worker', cause);

describe('isOrderRejection', () => {
  test.each(ORDER_REJECTION_TYPES)('isOrderRejection returns true for the non-retryable type %s', (type) => {
    expect(isOrderRejection(wrapInActivityFailure(ApplicationFailure.nonRetryable('no', type)))).toBe(true);
    expect(NON_RETRYABLE_ERROR_TYPES).toContain(type);
  });

  test.each(['InvalidInput', 'PaymentGatewayUnavailable', 'DeliveryTimeout', 'ChargeVoided'])(
    'isOrderRejection returns false for %s',
    (type) => {
      expect(isOrderRejection(wrapInActivityFailure(ApplicationFailure.nonRetryable('no', type)))).toBe(false);
    },
  );
});
