import proto from '@temporalio/proto';
import Long from 'long';
import { expect, test } from 'vitest';
import { isCausedByQuery, nondeterminismMessage, parseDifference } from '../../../tools/replay/difference.js';
import type { HistoryEvent } from '../../../tools/replay/history-events.js';

test("nondeterminismMessage quotes the SDK's message unchanged if it is not valid JSON", () => {
  const words = String.raw`Activity type of scheduled event 'e\u{301}' does not match activity type of activity command 'pack'`;
  const error = new Error(
    `Failure { failure: Some(Failure { message: "[TMPRL1100] Nondeterminism error: ${words}" }) }`,
  );

  expect(nondeterminismMessage(error)).toBe(words);
  expect(parseDifference(nondeterminismMessage(error), []).description).toBe(
    String.raw`activity type in the history is e\u{301}, in the code pack`,
  );
});

const TASK = ['WorkflowTaskScheduled', 'WorkflowTaskStarted', 'WorkflowTaskCompleted'];
const UPDATE = ['WorkflowExecutionUpdateAccepted', 'WorkflowExecutionUpdateCompleted'];
const UPSERT = 'UpsertWorkflowSearchAttributes';
const ACTIVITY = ['ActivityTaskScheduled', 'ActivityTaskStarted', 'ActivityTaskCompleted'];
const START = ['WorkflowExecutionStarted', ...TASK];

const { EventType } = proto.temporal.api.enums.v1;

const eventsOf = (types: string[]): HistoryEvent[] =>
  types.map((type, index) => ({
    eventId: Long.fromNumber(index + 1),
    eventType:
      EventType[`EVENT_TYPE_${type.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()}` as 'EVENT_TYPE_TIMER_FIRED'],
  }));

test.each<[expected: boolean, title: string, types: string[], difference: string]>([
  [true, 'a command between a result and an update', [...START, ...ACTIVITY, ...TASK, UPSERT, ...UPDATE], 'Update'],
  [true, 'such a command in an earlier task', [...START, ...ACTIVITY, ...TASK, UPSERT, ...UPDATE, ...TASK], 'Update'],
  [false, 'another command of the code', [...START, ...ACTIVITY, ...TASK, UPSERT, ...UPDATE], 'Timer'],
  [false, 'an update in a later task', [...START, ...ACTIVITY, ...TASK, UPSERT, ...TASK, ...UPDATE], 'Update'],
  [false, 'no update', [...START, ...ACTIVITY, ...TASK, UPSERT], 'Update'],
  [false, 'no result', [...START, ...TASK, UPSERT, ...UPDATE], 'Update'],
  [false, 'a signal', [...START, ...ACTIVITY, 'WorkflowExecutionSignaled', ...TASK, UPSERT, ...UPDATE], 'Update'],
  [false, 'the first task', [...START, UPSERT, ...UPDATE], 'Update'],
])('isCausedByQuery returns %s for %s', (expected, _title, types, machine) => {
  const event = { id: types.indexOf(UPSERT) + 1, type: UPSERT };

  expect(
    isCausedByQuery(eventsOf(types), { event, description: `the history has ${UPSERT}, the code ${machine}` }),
  ).toBe(expected);
});
