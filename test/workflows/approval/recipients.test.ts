import { describe, expect, test } from 'vitest';
import type { Approver } from '../../../src/schemas/approval.js';
import { eligibleApproversOf } from '../../../src/workflows/approval/decisions.js';
import { recipientsOf } from '../../../src/workflows/approval/notifications.js';

describe('recipients and eligible approvers', () => {
  const mailed: Approver = { id: 'lead', email: 'lead@example.com' };
  const called: Approver = { id: 'robot', webhookUrl: 'https://example.com/hook' };
  const both: Approver = { id: 'boss', email: 'boss@example.com', webhookUrl: 'https://example.com/boss' };

  test('an approver receives one message per channel, in the order of the approvers', () => {
    expect(recipientsOf([mailed, { id: 'silent' }, both, called])).toEqual([
      [mailed, 'email'],
      [both, 'email'],
      [both, 'webhook'],
      [called, 'webhook'],
    ]);
  });

  test('the eligible approvers do not include the requester', () => {
    expect(eligibleApproversOf({ approvers: [both, mailed], timeoutSeconds: 1 }, 'boss')).toEqual([mailed]);
    expect(eligibleApproversOf({ approvers: [both], timeoutSeconds: 1 }, 'boss')).toEqual([]);
  });
});
