import { expect, test } from 'vitest';
import type { ApprovalStatus } from '../../../src/schemas/approval.js';
import { outcomeRejectionOf } from '../../../src/workflows/order/approval.js';

test.each([
  ['approved', undefined],
  ['rejected', 'ApprovalRejected'],
  ['timed_out', 'ApprovalTimedOut'],
  ['withdrawn', 'ApprovalWithdrawn'],
] as const)('an approval that is %s rejects the order with %s', (status, type) => {
  expect(outcomeRejectionOf(status)?.type).toBe(type);
});

test.each(['pending', 'unreadable payload', undefined])(
  'the outcome %s of an approval fails the workflow task',
  (status) => {
    expect(() => outcomeRejectionOf(status as ApprovalStatus)).toThrow('unknown outcome of an approval');
  },
);
