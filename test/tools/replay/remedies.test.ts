import proto from '@temporalio/proto';
import Long from 'long';
import { expect, test } from 'vitest';
import type { CodeChange, Difference } from '../../../tools/replay/difference.js';
import type { HistoryEvent } from '../../../tools/replay/history-events.js';
import { suggestRemedy } from '../../../tools/replay/remedies.js';

const { EventType } = proto.temporal.api.enums.v1;

/** Makes a history that schedules these activities, starting with event 1. */
const historyOf = (...activities: string[]): HistoryEvent[] =>
  activities.map((name, index) => ({
    eventId: Long.fromNumber(index + 1),
    eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    activityTaskScheduledEventAttributes: { activityType: { name } },
  }));

/** Makes a difference at an event that schedules an activity. */
const differenceAt = (id: number, subject: string, change?: CodeChange): Difference => ({
  event: { id, type: 'ActivityTaskScheduled', subject },
  description: 'a difference',
  ...(change && { change }),
});

const remedyForName = (history: string[], id: number, inCode: string) =>
  suggestRemedy(
    historyOf(...history),
    differenceAt(id, history[id - 1]!, { kind: 'other-name', inHistory: history[id - 1]!, inCode }),
  );

test('names an activity that the history does not contain, with its patch and the remedy for a rename', () => {
  expect(remedyForName(['reserveStock', 'chargePayment'], 2, 'screenOrder')).toBe(
    "New: screenOrder. Write `if (patched('screen-order')) await screenOrder()`. " +
      "If screenOrder is a new name of chargePayment: write `patched('rename-charge-payment') ? screenOrder : chargePayment`, " +
      'and keep chargePayment registered. See docs/concepts/versioning.md#patches',
  );
});

test('names an activity that was removed or moved if the code continues with the next activity of the history', () => {
  expect(remedyForName(['reserveStock', 'chargePayment'], 1, 'chargePayment')).toMatch(
    /^Removed or moved: reserveStock, which the history has before chargePayment\. .*patched\('reserve-stock-order'\)/,
  );
});

test.each([
  ['the code repeats an earlier activity', ['pollStatus', 'chargePayment'], 2, 'pollStatus'],
  ['the history repeats the activity later', ['reserveStock', 'poll', 'reserveStock'], 1, 'poll'],
  ['the activity of the code comes twice later', ['reserveStock', 'poll', 'poll'], 1, 'poll'],
])('names both causes if %s', (_title, history, id, inCode) => {
  expect(remedyForName(history, id, inCode)).toMatch(
    new RegExp(`^Either new: ${inCode}\\. .* Or removed: ${history[id - 1]}\\. `),
  );
});

test.each<[title: string, change: CodeChange, expected: RegExp]>([
  ['a removed activity', { kind: 'missing-command' }, /^Removed: ship\. .*!patched\('remove-ship'\)/],
  [
    'a timer in place of an activity',
    { kind: 'other-command', machine: 'Timer' },
    /^Either new: a timer\. .* Or removed: ship\. /,
  ],
  [
    'a removed patch',
    { kind: 'missing-patch', patch: 'pack' },
    /^Removed: the patch pack\. .*deprecatePatch\('pack'\)/,
  ],
  [
    'a removed workflow type',
    { kind: 'missing-type', type: 'cart' },
    /^Removed: the workflow type cart\. Export it from src\/workflows\/index\.ts/,
  ],
])('names the remedy for %s', (_title, change, expected) => {
  expect(suggestRemedy(historyOf('ship'), differenceAt(1, 'ship', change))).toMatch(expected);
});

test('suggests nothing for an unknown message or a difference that a query caused', () => {
  const ship = historyOf('ship');
  expect(suggestRemedy(ship, differenceAt(1, 'ship'))).toBeUndefined();
  expect(
    suggestRemedy(ship, { ...differenceAt(1, 'ship', { kind: 'missing-command' }), isCausedByQuery: true }),
  ).toBeUndefined();
});
