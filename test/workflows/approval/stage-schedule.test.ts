import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Stage } from '../../../src/schemas/approval.js';
import { nextReminder, reminderTimesOf, stageEndOf } from '../../../src/workflows/approval/stage-schedule.js';

const REQUESTED_AT = Date.parse('2030-01-01T00:00:00.000Z');

describe('the next reminder', () => {
  const times = [60, 120, 180].map((seconds) => REQUESTED_AT + seconds * 1000);
  const next = (sent: number, seconds: number, random = 0.5) => {
    const reminder = nextReminder(times, {
      sent,
      now: REQUESTED_AT + seconds * 1000,
      endsAt: REQUESTED_AT + 240_000,
      random,
    });
    return reminder && [reminder.number, (reminder.at - REQUESTED_AT) / 1000, reminder.isMissed];
  };

  test.each<[what: string, sent: number, seconds: number, expected: unknown]>([
    ['the first reminder, at the start', 0, 0, [1, 60, false]],
    ['the first reminder, when it is due', 0, 60, [1, 60, false]],
    ['the first reminder, slightly late', 0, 70, [1, 60, false]],
    ['the second reminder, after the first', 1, 60, [2, 120, false]],
    ['a missed first reminder, before the second', 0, 100, [1, 110, true]],
    ['the newest missed reminder', 0, 140, [2, 160, true]],
    ['the last reminder, when all were missed, before the end of the stage', 0, 200, [3, 220, true]],
    ['nothing, after the last reminder', 3, 200, undefined],
  ])('the next reminder is %s', (_description, sent, seconds, expected) => {
    expect(next(sent, seconds)).toEqual(expected);
  });

  test('nextReminder delays a missed reminder randomly by at most five minutes', () => {
    const day = 24 * 60 * 60_000;
    const delayFor = (random: number) =>
      nextReminder([day, 2 * day], { sent: 0, now: day + 60_000, endsAt: 3 * day, random })!.at - day;
    expect([delayFor(0), delayFor(0.5), delayFor(1)]).toEqual([60_000, 210_000, 360_000]);
  });
});

describe('the schedule of a stage', () => {
  const makeStage = (timeoutSeconds: number, remindEverySeconds?: number): Stage => ({
    approvers: [{ id: 'lead' }],
    timeoutSeconds,
    ...(remindEverySeconds !== undefined && { remindEverySeconds }),
  });
  const secondsAfter = (times: number[]) => times.map((time) => (time - REQUESTED_AT) / 1000);

  test('a one-hour stage ends one hour after its start', () => {
    expect(stageEndOf(makeStage(3_600), REQUESTED_AT)).toBe(Date.parse('2030-01-01T01:00:00.000Z'));
  });

  test.each<[what: string, Stage, seconds: number[]]>([
    ['the stage has no reminder interval', makeStage(60), []],
    ['the stage is not a multiple of the interval', makeStage(65, 20), [20, 40, 60]],
    ['the stage is a multiple of the interval', makeStage(60, 20), [20, 40]],
    ['the interval ends just before the stage', makeStage(60, 59), [59]],
    ['the interval ends with the stage', makeStage(60, 60), []],
    ['the interval ends after the stage', makeStage(60, 61), []],
  ])('reminderTimesOf returns the expected times if %s', (_description, stage, seconds) => {
    expect(secondsAfter(reminderTimesOf(stage, REQUESTED_AT))).toEqual(seconds);
  });

  test('reminders have equal intervals and stop before the end of the stage', () => {
    const seconds = fc.integer({ min: 1, max: 1_000 });
    fc.assert(
      fc.property(seconds, seconds, (timeout, every) => {
        const stage = makeStage(timeout, every);
        const times = [REQUESTED_AT, ...reminderTimesOf(stage, REQUESTED_AT)];

        for (const [n, time] of times.entries()) expect(time).toBe(REQUESTED_AT + n * every * 1000);
        expect(times.at(-1)).toBeLessThan(stageEndOf(stage, REQUESTED_AT));
        expect(times.at(-1)! + every * 1000).toBeGreaterThanOrEqual(stageEndOf(stage, REQUESTED_AT));
      }),
    );
  });
});
