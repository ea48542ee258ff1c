import { expect, test } from 'vitest';
import { approvalContent } from '../../../src/api/console/approvals/page.js';
import type { Caller } from '../../../src/api/http/caller.js';
import type { ApprovalResource } from '../../../src/schemas/approval.js';

const AT = '2026-01-01T00:00:00.000Z';
const operator: Caller = { id: 'olivia', roles: ['operator'] };
const approver: Caller = { id: 'grace', roles: ['approver'] };

const makePending = (overrides: Partial<ApprovalResource> = {}): ApprovalResource => ({
  approvalId: 'order.order-1',
  status: 'pending',
  title: 'May we?',
  requestedBy: 'ada',
  stage: 1,
  stages: 2,
  approvers: ['grace', 'erp'],
  deadline: '2999-01-01T00:00:00.000Z',
  ifUndecided: { outcome: 'rejected' },
  trail: [{ at: AT, event: 'requested', stage: 1, approver: 'ada' }],
  notifications: [],
  ...overrides,
});

/** The text of the page for this caller, without markup. */
const textFor = (caller: Caller, approval: ApprovalResource) =>
  approvalContent({ approval, caller })
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ');

test('marks a pending approval as overdue after its deadline', () => {
  expect(textFor(approver, makePending())).not.toContain('overdue');
  expect(textFor(approver, makePending({ deadline: AT }))).toContain('2026-01-01 00:00 UTC overdue');
  expect(textFor(approver, makePending({ deadline: AT, status: 'withdrawn' }))).not.toContain('overdue');
});

test.each<[ApprovalResource['ifUndecided'], string]>([
  [{ nextApprovers: ['manager'] }, 'If nobody decides by then, the request goes to manager.'],
  [{ nextApprovers: ['a', 'b', 'c'] }, 'If nobody decides by then, the request goes to a, b, and c.'],
  [{ outcome: 'timed_out' }, 'If nobody decides by then, the request closes without a decision.'],
  [{ outcome: 'approved' }, 'If nobody decides by then, the request is approved automatically.'],
  [{ outcome: 'rejected' }, 'If nobody decides by then, the request is rejected automatically.'],
])('for %j, says what happens at the deadline', (ifUndecided, expected) => {
  expect(textFor(approver, makePending({ ifUndecided }))).toContain(expected);
});

test('links to the order only for operators, who can open it', () => {
  const link = '<a href="/console/orders/order-1">order-1</a>';
  const approval = makePending();
  expect(approvalContent({ approval, caller: operator })).toContain(link);
  expect(approvalContent({ approval, caller: approver })).not.toContain(link);
  expect(textFor(approver, approval)).toContain('Order order-1');
});

test('shows messages and their failures only to operators', () => {
  const approval = makePending({
    notifications: [
      {
        stage: 1,
        approver: 'grace',
        channel: 'email',
        status: 'failed',
        sentCount: 2,
        lastSentAt: '2026-01-02T00:00:00.000Z',
        reason: { type: 'MailRejected', message: 'no such mailbox' },
      },
    ],
    retrying: [
      {
        step: 'mailApprover',
        attempt: 7,
        lastFailure: { type: 'MailUnavailable', message: 'the mail server is down' },
      },
    ],
  });
  const forOperator = textFor(operator, approval);
  expect(forOperator).toMatch(/grace e-mail failed no such mailbox 2 2026-01-02/);
  expect(forOperator).toContain('mailApprover is being retried: attempt 7. the mail server is down');
  const forApprover = textFor(approver, approval);
  expect(forApprover).not.toContain('no such mailbox');
  expect(forApprover).not.toContain('mailApprover');
});

test('shows the trail and the notifications in one timeline, oldest first', () => {
  const text = textFor(
    approver,
    makePending({
      status: 'rejected',
      decision: { approver: 'erp', decision: 'reject', comment: 'Too much.', via: 'webhook', stage: 2, at: AT },
      trail: [
        { at: '2026-01-01T00:00:00.000Z', event: 'requested', stage: 1, approver: 'ada' },
        { at: '2026-01-03T00:00:00.000Z', event: 'escalated', stage: 2 },
        {
          at: '2026-01-04T00:00:00.000Z',
          event: 'ignored',
          stage: 2,
          approver: 'ada',
          decision: 'approve',
          via: 'cli',
          reason: { type: 'SelfApproval', message: 'requesters cannot decide their own request' },
        },
        {
          at: '2026-01-05T00:00:00.000Z',
          event: 'decided',
          stage: 2,
          approver: 'erp',
          decision: 'reject',
          via: 'webhook',
          comment: 'Too much.',
        },
      ],
      notifications: [
        {
          stage: 1,
          approver: 'grace',
          channel: 'email',
          status: 'sent',
          sentCount: 1,
          lastSentAt: '2026-01-02T00:00:00.000Z',
        },
      ],
    }),
  );
  const events = [
    'ada requested the approval.',
    'grace was notified by e-mail.',
    'Nobody decided in time, so the request went to the next approvers.',
    'A decision by ada through Temporal was ignored: requesters cannot decide their own request.',
    'erp rejected the request through a webhook. Too much.',
  ];
  const positions = events.map((event) => text.indexOf(event));
  expect(Math.min(...positions)).toBeGreaterThan(0);
  expect(positions).toEqual(positions.toSorted((one, other) => one - other));
});
