import { describe, expect, test } from 'vitest';
import { decision as decisionSchema, type Stage } from '../../../src/schemas/approval.js';
import { readStages, readText, validateDecision } from '../../../src/workflows/approval/argument-validation.js';
import { makeDecision } from '../../support/shop/approvals.js';

describe('validateDecision', () => {
  test.each([
    makeDecision('a'.repeat(120)),
    makeDecision('a'.repeat(121)),
    makeDecision('lead', { comment: 'x'.repeat(1_000) }),
    makeDecision('lead', { comment: 'x'.repeat(1_001) }),
    makeDecision('lead', { via: 'link', stage: 1 }),
    makeDecision('lead', { via: 'dream' as 'link' }),
    makeDecision('lead', { stage: 1.5 }),
    { ...makeDecision('lead'), admin: true },
    makeDecision(''),
    makeDecision('\ud800'),
    makeDecision('le ad'),
    makeDecision('lead@example.com'),
    makeDecision('lead', { comment: '\ud800' }),
    makeDecision('lead', { comment: 'a\0b' }),
    makeDecision('lead', { stage: 0 }),
  ])('accepts or rejects %j as the schema does', (decision) => {
    expect(validateDecision(decision) === undefined).toBe(decisionSchema.safeParse(decision).success);
  });

  const notAnObject = 'the argument must be {"approver","decision":"approve"|"reject","comment"?}';
  test.each<[unknown, message: string]>([
    ...[undefined, null, 'approve', 1, [], [makeDecision('lead')]].map((value): [unknown, string] => [
      value,
      notAnObject,
    ]),
    [{ ...makeDecision('lead'), admin: true }, 'only approver, decision, comment, via, stage are known fields'],
    [{ decision: 'approve' }, 'approver must be an id'],
    [makeDecision(''), 'approver must be an id'],
    [makeDecision('a'.repeat(121)), 'approver must be an id'],
    [{ ...makeDecision('lead'), approver: ['lead'] }, 'approver must be an id'],
    [{ approver: 'lead' }, 'decision must be "approve" or "reject"'],
    [{ ...makeDecision('lead'), decision: 'maybe' }, 'decision must be "approve" or "reject"'],
    [
      { ...makeDecision('lead'), comment: 1 },
      'comment must have at most 1000 UTF-16 code units, without NUL and lone surrogates',
    ],
    [
      { ...makeDecision('lead'), comment: 'x'.repeat(1_001) },
      'comment must have at most 1000 UTF-16 code units, without NUL and lone surrogates',
    ],
    [{ ...makeDecision('lead'), via: 'dream' }, 'via must be one of api, link, webhook, slack, cli'],
    [{ ...makeDecision('lead'), stage: '1' }, 'stage must be an integer of at least 1'],
    [{ ...makeDecision('lead'), stage: 1.5 }, 'stage must be an integer of at least 1'],
  ])('the error for the decision %j explains the problem', (value, message) => {
    expect(validateDecision(value)).toEqual({ type: 'InvalidInput', message });
  });

  test.each<[string, unknown]>([
    ['the required fields only', makeDecision('lead')],
    ['a rejection', makeDecision('lead', { decision: 'reject' })],
    ['the longest names', makeDecision('a'.repeat(120), { comment: 'x'.repeat(1_000) })],
    ['an empty comment', makeDecision('lead', { comment: '' })],
    ...['api', 'link', 'webhook', 'slack', 'cli'].map((via): [string, unknown] => [
      `via ${via}`,
      { ...makeDecision('lead'), via },
    ]),
    ['a stage', makeDecision('lead', { stage: 1 })],
    ['undefined fields', { ...makeDecision('lead'), comment: undefined, via: undefined, stage: undefined }],
  ])('accepts a decision with %s', (_description, value) => {
    expect(validateDecision(value)).toBeUndefined();
  });
});

describe('readStages', () => {
  const stage: Stage = { approvers: [{ id: 'lead' }], timeoutSeconds: 60 };

  test('readStages returns the stages of an input with a valid shape', () => {
    expect(readStages({ stages: [stage, stage] })).toEqual([stage, stage]);
  });

  test.each<[unknown]>([
    [undefined],
    [null],
    ['stages'],
    [{}],
    [{ stages: 'stages' }],
    [{ stages: [null] }],
    [{ stages: [stage, {}] }],
    [{ stages: [{ ...stage, timeoutSeconds: 1e300 }] }],
    [{ stages: [{ ...stage, timeoutSeconds: -1 }] }],
    [{ stages: [{ ...stage, timeoutSeconds: '60' }] }],
    [{ stages: [{ ...stage, approvers: 'lead' }] }],
    [{ stages: [{ ...stage, approvers: [null] }] }],
    [{ stages: [{ ...stage, approvers: [{ id: 1 }] }] }],
  ])('readStages returns no stages for %j', (input) => {
    expect(readStages(input)).toEqual([]);
  });
});

test.each<[unknown, string]>([
  [{ title: 'May we?' }, 'May we?'],
  [{ title: 'a\ud800' }, 'a\ufffd'],
  [{ title: 'x'.repeat(201) }, `${'x'.repeat(199)}…`],
  [{ title: ['May we?'] }, ''],
  [{ requestedBy: 'ada' }, ''],
  [null, ''],
  [undefined, ''],
  ['May we?', ''],
])('readText reads from the input %j the title "%s"', (input, title) => {
  expect(readText(input, 'title')).toBe(title);
});
