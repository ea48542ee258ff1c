import { expect, test } from 'vitest';
import type { ApprovalView, Notification } from '../../../src/schemas/approval.js';
import { describeApproval } from '../../../src/workflows/approval/details.js';

const pending: ApprovalView = {
  approvalId: 'a1',
  status: 'pending',
  title: 'May we?',
  requestedBy: 'ada',
  stage: 1,
  stages: 2,
  approvers: ['lead', 'boss'],
  deadline: '2030-01-02T03:04:05.000Z',
  trail: [],
  notifications: [{ stage: 1, approver: 'boss', channel: 'email', status: 'sent', sentCount: 1 }],
};
const failedNotification: Notification = {
  stage: 1,
  approver: 'lead',
  channel: 'email',
  status: 'failed',
  sentCount: 0,
  reason: { type: 'MailRejected', message: 'no such user' },
};
const decision = {
  approver: 'lead',
  decision: 'approve',
  via: 'link',
  stage: 1,
  at: '2030-01-01T00:00:00.000Z',
} as const;

test('describeApproval lists the approvers who have not decided yet', () => {
  expect(describeApproval(pending)).toBe(
    '**pending**: stage 1 of 2, until 2030-01-02 03:04 UTC\n\n- waits for `lead`\n- waits for `boss`',
  );
});

test('describeApproval shows failed notifications and failed reports first', () => {
  expect(describeApproval({ ...pending, notifications: [...pending.notifications, failedNotification] })).toBe(
    '**Needs attention**\n\n- email to `lead` failed: MailRejected\n\n' +
      '**pending**: stage 1 of 2, until 2030-01-02 03:04 UTC\n\n- waits for `lead`\n- waits for `boss`',
  );
  const delivery = { status: 'failed', reason: { type: 'ReceiverGone', message: 'answered 410' } } as const;
  expect(
    describeApproval({
      ...pending,
      status: 'approved',
      decision,
      notifications: [failedNotification],
      callbackDelivery: delivery,
    }),
  ).toBe('**Needs attention**\n\n- the outcome was not reported: ReceiverGone\n\n**approved** by `lead` (link)');
});

test('describeApproval shows the outcome and whether its report is pending', () => {
  expect(describeApproval({ ...pending, status: 'timed_out' })).toBe('**timed_out**');
  expect(describeApproval({ ...pending, status: 'approved', decision, callbackDelivery: { status: 'pending' } })).toBe(
    '**approved** by `lead` (link), report of the outcome pending',
  );
  const standalone = { status: 'pending', activityId: 'outcome-report:oven' } as const;
  expect(describeApproval({ ...pending, status: 'approved', decision, callbackDelivery: standalone })).toBe(
    '**approved** by `lead` (link), the outcome is reported by the activity `outcome-report:oven`',
  );
});
