import { describe, expect, test } from 'vitest';
import {
  MAX_APPROVERS,
  MAX_DESCRIPTION_LENGTH,
  MAX_REMINDERS,
  MAX_STAGES,
  type ApprovalView,
  type Decision,
} from '../../../src/schemas/approval.js';
import {
  evaluateDecision,
  hasNewComment,
  isTrailFull,
  outcomeOf,
  toTrailFields,
  withdrawalRejectionOf,
  type DecisionContext,
} from '../../../src/workflows/approval/decisions.js';
import { makeDecision } from '../../support/shop/approvals.js';

const makeContext = (view: Partial<ApprovalView> = {}): DecisionContext => ({
  view: { status: 'pending', stage: 2, requestedBy: 'asker', ...view },
  eligibleApprovers: [{ id: 'lead' }, { id: 'robot', webhookUrl: 'https://example.com/hook' }],
});
const decidedContext = makeContext({
  status: 'approved',
  decision: { approver: 'lead', decision: 'approve', via: 'api', stage: 2, at: '2026-01-01T00:00:00.000Z' },
});
const alreadyDecided = { type: 'AlreadyDecided', message: 'lead has already decided: approve' };
const closedRejection = (status: string) => ({
  type: 'ApprovalClosed',
  message: `the approval is already closed: ${status}`,
});

describe('the limits of the schema', () => {
  test('the history of an approval with maximum-size input stays below 50 MB', () => {
    // Messages contain no control characters except tabs and line breaks. So three bytes in UTF-8 are the maximum for a
    // UTF-16 code unit.
    const longText = (length: number) => '\u4e00'.repeat(length);
    const message = {
      approvalId: 'a'.repeat(80),
      title: longText(200),
      description: longText(MAX_DESCRIPTION_LENGTH),
      requestedBy: 'a'.repeat(120),
      amount: { value: 2 ** 53 - 1, currency: 'EUR' },
      firstRunId: 'r'.repeat(36),
      stage: 5,
      stages: 5,
      approver: 'a'.repeat(120),
      number: MAX_REMINDERS,
      deadline: '2026-01-01T00:00:00.000Z',
      webhookUrl: `https://${'u'.repeat(992)}`,
    };
    const { webhookUrl, ...mail } = message;
    const ifUndecided = { nextApprovers: Array<string>(MAX_APPROVERS).fill('a'.repeat(120)) };
    const bytes =
      Buffer.byteLength(JSON.stringify(message)) +
      Buffer.byteLength(JSON.stringify({ ...mail, email: longText(42), ifUndecided })) +
      Buffer.byteLength(JSON.stringify({ ...mail, ifUndecided }));
    const messages = MAX_STAGES * MAX_APPROVERS * (MAX_REMINDERS + 1);
    // Allows 2,000 bytes for the other data of an activity in the history.
    expect(messages * (bytes + 3 * 1_000)).toBeLessThan(50 * 1024 * 1024);
    expect(webhookUrl).toHaveLength(1_000);
  });
});

describe('evaluateDecision', () => {
  test.each<[what: string, DecisionContext, Decision, answer: unknown]>([
    ['an approver decides', makeContext(), makeDecision('lead'), 'counts'],
    ['an approver decides for the current stage', makeContext(), makeDecision('lead', { stage: 2 }), 'counts'],
    ['a system decides via webhook', makeContext(), makeDecision('robot', { via: 'webhook' }), 'counts'],
    [
      'a person decides via webhook',
      makeContext(),
      makeDecision('lead', { via: 'webhook' }),
      { type: 'NotAnApprover', message: 'lead cannot decide by webhook' },
    ],
    [
      'a caller who is not an approver decides',
      makeContext(),
      makeDecision('stranger'),
      { type: 'NotAnApprover', message: 'stranger is not an approver of stage 2' },
    ],
    [
      'the requester decides and is also an approver',
      makeContext(),
      makeDecision('asker'),
      { type: 'SelfApproval', message: 'requesters cannot decide their own request' },
    ],
    [
      'the link is for an earlier stage',
      makeContext(),
      makeDecision('lead', { stage: 1 }),
      { type: 'StagePassed', message: 'the decision is for stage 1, but the approval is in stage 2' },
    ],
    [
      'the link is for a later stage',
      makeContext(),
      makeDecision('lead', { stage: 3 }),
      { type: 'StagePassed', message: 'the decision is for stage 3, but the approval is in stage 2' },
    ],
    ['a decision is repeated', decidedContext, makeDecision('lead', { comment: 'again' }), 'repeated'],
    [
      'a decision is repeated via a link of an earlier stage',
      decidedContext,
      makeDecision('lead', { stage: 1 }),
      'repeated',
    ],
    [
      'the same approver later decides the opposite',
      decidedContext,
      makeDecision('lead', { decision: 'reject' }),
      alreadyDecided,
    ],
    ['another approver later agrees', decidedContext, makeDecision('robot'), alreadyDecided],
    [
      'the approval has timed out',
      makeContext({ status: 'timed_out' }),
      makeDecision('lead'),
      closedRejection('timed_out'),
    ],
    [
      'a timeout approved the request',
      makeContext({ status: 'approved' }),
      makeDecision('lead'),
      closedRejection('approved'),
    ],
    [
      'the approval was withdrawn',
      makeContext({ status: 'withdrawn' }),
      makeDecision('lead'),
      closedRejection('withdrawn'),
    ],
  ])('evaluateDecision returns the expected result if %s', (_description, where, decision, response) => {
    expect(evaluateDecision(where, decision)).toEqual(response);
  });
});

describe('outcomes and withdrawals', () => {
  test('outcomeOf maps a decision to its outcome', () => {
    expect(outcomeOf(makeDecision('lead'))).toBe('approved');
    expect(outcomeOf(makeDecision('lead', { decision: 'reject' }))).toBe('rejected');
  });

  test.each([
    ['is open', makeContext(), undefined],
    ['was withdrawn before', makeContext({ status: 'withdrawn' }), undefined],
    ['was decided', decidedContext, alreadyDecided],
    ['has timed out', makeContext({ status: 'timed_out' }), closedRejection('timed_out')],
    ['was approved by a timeout', makeContext({ status: 'approved' }), closedRejection('approved')],
  ])(
    'withdrawalRejectionOf returns the expected result for an approval that %s',
    (_description, { view }, rejection) => {
      expect(withdrawalRejectionOf(view)).toEqual(rejection);
    },
  );
});

describe('the trail', () => {
  test('the trail records approver, decision, comment and channel; the default channel is "cli"', () => {
    expect(toTrailFields(makeDecision('lead', { comment: 'fine', via: 'link', stage: 2 }))).toEqual({
      approver: 'lead',
      decision: 'approve',
      comment: 'fine',
      via: 'link',
    });
    expect(toTrailFields(makeDecision('lead', { comment: '' }))).toEqual({
      approver: 'lead',
      decision: 'approve',
      via: 'cli',
    });
  });

  test('the trail records at most twenty ignored decisions', () => {
    const ignored = (count: number) => Array<{ event: 'ignored' }>(count).fill({ event: 'ignored' });
    const others = [{ event: 'requested' }, { event: 'escalated' }] as const;

    expect(isTrailFull([], 'ignored')).toBe(false);
    expect(isTrailFull([...others, ...ignored(19)], 'ignored')).toBe(false);
    expect(isTrailFull([...others, ...ignored(20)], 'ignored')).toBe(true);
    expect(isTrailFull([...others, ...ignored(20)], 'commented')).toBe(false);
  });

  test.each<[what: string, comment: string | undefined, expected: boolean]>([
    ['no comment', undefined, false],
    ['the same comment as the decision', 'fine', false],
    ['a comment that is already in the trail', 'really', false],
    ['another comment', 'approved', true],
  ])('for a repeated decision with %s, hasNewComment returns %s', (_description, comment, expected) => {
    const made = { ...decidedContext.view.decision!, comment: 'fine' };
    const at = '2026-01-01T00:00:00.000Z';
    const trail = [{ at, event: 'commented' as const, stage: 2, comment: 'really' }];
    expect(
      hasNewComment({ decision: made, trail }, makeDecision('lead', comment === undefined ? {} : { comment })),
    ).toBe(expected);
  });
});
