import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Approver, Stage } from '../../../src/schemas/approval.js';
import { addresseesOf, endOf, remindersOf } from '../../../src/workflows/approval/stage.js';

const ASKED_AT = Date.parse('2030-01-01T00:00:00.000Z');

describe('who is told of a question', () => {
  const mailed: Approver = { id: 'lead', email: 'lead@example.com' };
  const called: Approver = { id: 'robot', webhookUrl: 'https://example.com/hook' };
  const both: Approver = { id: 'boss', email: 'boss@example.com', webhookUrl: 'https://example.com/boss' };

  test('when approvers can be told by several ways, then each is, in their order', () => {
    expect(addresseesOf([mailed, { id: 'silent' }, both, called], 'asker')).toEqual([
      [mailed, 'email'],
      [both, 'email'],
      [both, 'webhook'],
      [called, 'webhook'],
    ]);
  });

  test('when who asks is among them, then he is not told', () => {
    expect(addresseesOf([both, mailed], 'boss')).toEqual([[mailed, 'email']]);
  });
});

describe('the time of a stage', () => {
  const aStage = (timeoutSeconds: number, remindEverySeconds?: number): Stage => ({
    ...{ approvers: [{ id: 'lead' }], timeoutSeconds },
    ...(remindEverySeconds !== undefined && { remindEverySeconds }),
  });
  const secondsAfter = (times: number[]) => times.map((time) => (time - ASKED_AT) / 1000);

  test('when it has an hour, then it ends an hour after it was asked', () => {
    expect(endOf(aStage(3_600), ASKED_AT)).toBe(Date.parse('2030-01-01T01:00:00.000Z'));
  });

  test.each<[what: string, Stage, seconds: number[]]>([
    ['nobody wants it to', aStage(60), []],
    ['its time is no multiple of it', aStage(65, 20), [20, 40, 60]],
    ['its time is a multiple of it', aStage(60, 20), [20, 40]],
    ['it would be just before its end', aStage(60, 59), [59]],
    ['it would be at its end', aStage(60, 60), []],
    ['it would be after its end', aStage(60, 61), []],
  ])('when %s, then it reminds as often as defined', (_what, stage, seconds) => {
    expect(secondsAfter(remindersOf(stage, ASKED_AT))).toEqual(seconds);
  });

  test('when it reminds at all, then always after the same time, and the next one would be at its end or later', () => {
    const seconds = fc.integer({ min: 1, max: 1_000 });
    fc.assert(
      fc.property(seconds, seconds, (timeout, every) => {
        const stage = aStage(timeout, every);
        const times = [ASKED_AT, ...remindersOf(stage, ASKED_AT)];

        for (const [n, time] of times.entries()) expect(time).toBe(ASKED_AT + n * every * 1000);
        expect(times.at(-1)).toBeLessThan(endOf(stage, ASKED_AT));
        expect(times.at(-1)! + every * 1000).toBeGreaterThanOrEqual(endOf(stage, ASKED_AT));
      }),
    );
  });
});
