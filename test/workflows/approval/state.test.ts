import { describe, expect, test } from 'vitest';
import {
  MAX_APPROVERS,
  MAX_DESCRIPTION,
  MAX_REMINDERS,
  MAX_STAGES,
  decision as decisionSchema,
  type ApprovalView,
  type Decision,
} from '../../../src/schemas/approval.js';
import { answerTo, malformedDecision, type Standing } from '../../../src/workflows/approval/state.js';

const standing = (view: Partial<ApprovalView> = {}): Standing => ({
  view: { status: 'pending', stage: 2, requestedBy: 'asker', ...view },
  approvers: [{ id: 'lead' }, { id: 'robot', webhookUrl: 'https://example.com/hook' }, { id: 'asker' }],
});
const decided = standing({
  status: 'approved',
  decision: { approver: 'lead', decision: 'approve', via: 'api', stage: 2, at: '2026-01-01T00:00:00.000Z' },
});
const by = (approver: string, more: Partial<Decision> = {}): Decision => ({ approver, decision: 'approve', ...more });

describe('the limits of the schema', () => {
  test('when an approval is as large as can be, then its history stays below 50 MB', () => {
    // What is longest in JSON: a control character takes six bytes.
    const longest = (length: number) => '\u0001'.repeat(length);
    const message = {
      ...{ approvalId: 'a'.repeat(80), title: longest(200), description: longest(MAX_DESCRIPTION) },
      ...{ requestedBy: 'a'.repeat(64), amount: { value: 2 ** 53 - 1, currency: 'EUR' } },
      ...{ runId: 'r'.repeat(36), stage: 5, stages: 5, approver: 'a'.repeat(64), number: MAX_REMINDERS },
      ...{ deadline: '2026-01-01T00:00:00.000Z', webhookUrl: `https://${'u'.repeat(992)}` },
    };
    const { webhookUrl, ...mail } = message;
    const bytes =
      Buffer.byteLength(JSON.stringify(message)) + Buffer.byteLength(JSON.stringify({ ...mail, email: longest(42) }));
    const messages = MAX_STAGES * MAX_APPROVERS * (MAX_REMINDERS + 1);
    // What else is written about an activity is less than a kilobyte.
    expect(messages * (bytes + 2 * 1_000)).toBeLessThan(50 * 1024 * 1024);
    expect(webhookUrl).toHaveLength(1_000);
  });
});

describe('answerTo', () => {
  test.each<[what: string, Standing, Decision, answer: unknown]>([
    ['an approver decides', standing(), by('lead'), 'counts'],
    ['an approver decides for the stage that is asked', standing(), by('lead', { stage: 2 }), 'counts'],
    ['a system decides by webhook', standing(), by('robot', { via: 'webhook' }), 'counts'],
    ['a person decides by webhook', standing(), by('lead', { via: 'webhook' }), { type: 'NotAnApprover' }],
    ['a stranger decides', standing(), by('stranger'), { type: 'NotAnApprover' }],
    ['who asked decides, though an approver', standing(), by('asker'), { type: 'OwnRequest' }],
    ['the link is of a stage before', standing(), by('lead', { stage: 1 }), { type: 'StagePassed' }],
    ['the link is of a stage to come', standing(), by('lead', { stage: 3 }), { type: 'StagePassed' }],
    ['the same is decided again', decided, by('lead', { comment: 'again' }), 'repeated'],
    ['the same is decided again by an old link', decided, by('lead', { stage: 1 }), 'repeated'],
    ['the opposite is decided later', decided, by('lead', { decision: 'reject' }), { type: 'AlreadyDecided' }],
    ['somebody else agrees later', decided, by('robot'), { type: 'AlreadyDecided' }],
    ['time is over', standing({ status: 'timed_out' }), by('lead'), { type: 'ApprovalClosed' }],
    ['a time-out approved it', standing({ status: 'approved' }), by('lead'), { type: 'ApprovalClosed' }],
    ['it was withdrawn', standing({ status: 'withdrawn' }), by('lead'), { type: 'ApprovalClosed' }],
  ])('when %s, then the answer is as defined', (_what, where, decision, answer) => {
    if (typeof answer === 'string') expect(answerTo(where, decision)).toBe(answer);
    else expect(answerTo(where, decision)).toMatchObject(answer as object);
  });
});

describe('malformedDecision', () => {
  test.each([
    by('a'.repeat(64)),
    by('a'.repeat(65)),
    by('lead', { comment: 'x'.repeat(1_000) }),
    by('lead', { comment: 'x'.repeat(1_001) }),
    by('lead', { via: 'link', stage: 1 }),
    by('lead', { via: 'dream' as 'link' }),
    by('lead', { stage: 1.5 }),
    { ...by('lead'), admin: true },
    by(''),
  ])('when the schema takes %j, then so does the workflow, and the other way round', (decision) => {
    expect(malformedDecision(decision) === undefined).toBe(decisionSchema.safeParse(decision).success);
  });
});
