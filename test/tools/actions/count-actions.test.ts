import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import Long from 'long';
import proto from '@temporalio/proto';
import { describe, expect, test } from 'vitest';
import { countActions, totalOf, type ActionCounts } from '../../../tools/actions/count-actions.js';
import { runCountActions } from '../../../tools/actions/run-count-actions.js';
import { COMMITTED_HISTORIES_FOLDER } from '../../../tools/replay/histories.js';
import { eventSubject, eventTypeName, type HistoryEvent } from '../../../tools/replay/history-events.js';
import { projectRoot } from '../../../tools/settings/environment.js';
import { recordedHistories } from '../../support/replay/recorded-histories.js';

const { EventType, WorkflowTaskFailedCause } = proto.temporal.api.enums.v1;

type EventName = keyof typeof EventType extends `EVENT_TYPE_${infer Name}` ? Name : never;

const eventOf = (name: EventName, attributes: HistoryEvent = {}): HistoryEvent => ({
  eventType: EventType[`EVENT_TYPE_${name}`],
  ...attributes,
});

const started = (attributes: HistoryEvent['workflowExecutionStartedEventAttributes'] = {}) =>
  eventOf('WORKFLOW_EXECUTION_STARTED', { workflowExecutionStartedEventAttributes: attributes });
const marker = (markerName: string, workflowTask: number) =>
  eventOf('MARKER_RECORDED', {
    markerRecordedEventAttributes: { markerName, workflowTaskCompletedEventId: Long.fromNumber(workflowTask) },
  });
const upsert = (...names: string[]) =>
  eventOf('UPSERT_WORKFLOW_SEARCH_ATTRIBUTES', {
    upsertWorkflowSearchAttributesEventAttributes: {
      searchAttributes: { indexedFields: Object.fromEntries(names.map((name) => [name, {}])) },
    },
  });
const reset = eventOf('WORKFLOW_TASK_FAILED', {
  workflowTaskFailedEventAttributes: { cause: WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW },
});
const signaled = (id: number) => eventOf('WORKFLOW_EXECUTION_SIGNALED', { eventId: Long.fromNumber(id) });
const activityStarted = (attempt: number) =>
  eventOf('ACTIVITY_TASK_STARTED', { activityTaskStartedEventAttributes: { attempt } });
const taskWithLocalRetries = (count: number) =>
  eventOf('WORKFLOW_TASK_COMPLETED', {
    workflowTaskCompletedEventAttributes: { meteringMetadata: { nonfirstLocalActivityExecutionAttempts: count } },
  });
const scheduledBy = { searchAttributes: { indexedFields: { TemporalScheduledById: {} } } };
const parent = { parentWorkflowExecution: { workflowId: 'parent' } };

const cases: [name: string, events: HistoryEvent[], counts: ActionCounts][] = [
  ['a workflow start as one', [started()], { start: 1 }],
  ['a start by a schedule as three', [started(scheduledBy)], { start: 1, schedule: 2 }],
  ['the start of a child in the history of its parent', [started(parent)], {}],
  ['a child after continue-as-new as one', [started({ ...parent, continuedExecutionRunId: 'run' })], { start: 1 }],
  ['a child start as two', [eventOf('START_CHILD_WORKFLOW_EXECUTION_INITIATED')], { 'child start': 2 }],
  ['an activity as one', [eventOf('ACTIVITY_TASK_SCHEDULED'), activityStarted(1)], { activity: 1 }],
  [
    'each retry of an activity',
    [eventOf('ACTIVITY_TASK_SCHEDULED'), activityStarted(4)],
    { activity: 1, 'activity retry': 3 },
  ],
  [
    'the local activities of a workflow task as one',
    [marker('core_local_activity', 4), marker('core_local_activity', 4), marker('core_local_activity', 9)],
    { 'local activity': 2 },
  ],
  ['at most 100 local retries of a workflow task', [taskWithLocalRetries(250)], { 'local activity': 100 }],
  ['a patch marker as free', [marker('core_patch', 4), upsert('TemporalChangeVersion')], {}],
  ['a timer as one', [eventOf('TIMER_STARTED'), eventOf('TIMER_FIRED')], { timer: 1 }],
  ['a received signal as one', [signaled(7)], { signal: 1 }],
  ['a signal-with-start as one', [started(), signaled(2)], { start: 1 }],
  ['a sent signal in the history of its receiver', [eventOf('SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED')], {}],
  [
    'an update as one',
    [eventOf('WORKFLOW_EXECUTION_UPDATE_ACCEPTED'), eventOf('WORKFLOW_EXECUTION_UPDATE_COMPLETED')],
    { update: 1 },
  ],
  ['an upsert of several search attributes as one', [upsert('OrderStatus', 'CustomerId')], { 'search attributes': 1 }],
  ['changed options of a run as one', [eventOf('WORKFLOW_EXECUTION_OPTIONS_UPDATED')], { options: 1 }],
  [
    'a Nexus operation and its cancellation as one each',
    [eventOf('NEXUS_OPERATION_SCHEDULED'), eventOf('NEXUS_OPERATION_CANCEL_REQUESTED')],
    { 'Nexus operation': 2 },
  ],
  [
    'a reset as one, and the copied events before it as none',
    [started(), eventOf('TIMER_STARTED'), reset, eventOf('ACTIVITY_TASK_SCHEDULED')],
    { reset: 1, activity: 1 },
  ],
  ['other failed workflow tasks as none', [eventOf('WORKFLOW_TASK_FAILED')], {}],
];

describe('countActions', () => {
  test.each(cases)('counts %s', (_name, events, counts) => {
    expect(countActions({ events })).toEqual(counts);
  });

  test('counts one Action for each chunk of a batch, whatever its number of items', () => {
    const { history } = recordedHistories.findLast(({ file }) => file.endsWith('/batch-completed.json'))!;
    const isChunk = (event: HistoryEvent) => eventSubject(event) === 'processBatchChunk';
    const chunks = history.events!.filter(isChunk);
    const rest = history.events!.filter((event) => !isChunk(event));

    expect(countActions({ events: chunks })).toEqual({ activity: 3 });
    expect(totalOf(countActions(history)) - totalOf(countActions({ events: rest }))).toBe(chunks.length);
  });
});

describe('npm run count-actions', () => {
  async function run(...args: string[]): Promise<{ exitCode: number; output: string; errors: string }> {
    const [output, errors]: [string[], string[]] = [[], []];
    const exitCode = await runCountActions(args, {
      print: (text) => output.push(text),
      printError: (text) => errors.push(text),
    });
    return { exitCode, output: output.join('\n'), errors: errors.join('\n') };
  }

  test('prints a row for each committed history', async () => {
    const { exitCode, output } = await run();

    expect(exitCode).toBe(0);
    expect(output.split('\n')).toHaveLength(recordedHistories.length + 1);
  });

  test('prints only the given history', async () => {
    const file = join(COMMITTED_HISTORIES_FOLDER, '0001', 'reconcile-dry-run.json');

    const { exitCode, output } = await run(file);

    expect(exitCode).toBe(0);
    expect(output).toMatch(/^history\s+Actions\s+start\s+activity\n\S+reconcile-dry-run.json\s+3\s+1\s+2$/);
  });

  test('exits with 2 for a file without a history', async () => {
    expect(await run(join(projectRoot, 'package.json'))).toMatchObject({
      exitCode: 2,
      errors: expect.stringContaining('contains no history') as string,
    });
    expect(await run('--unknown')).toMatchObject({ exitCode: 2, errors: expect.stringContaining('Usage') as string });
  });
});

test('the figures in scaling.md follow from the recorded history of a completed order', async () => {
  const { history } = recordedHistories.findLast(({ file }) => file.endsWith('/order-completed.json'))!;
  const actions = totalOf(countActions(history));
  const page = await readFile(join(projectRoot, 'docs/operations/scaling.md'), 'utf8');

  const writing = [
    'WorkflowExecutionStarted',
    'WorkflowTaskStarted',
    'WorkflowTaskCompleted',
    'ActivityTaskStarted',
    'ActivityTaskCompleted',
    'WorkflowExecutionSignaled',
  ];
  const writes = history.events!.filter((event) => writing.includes(eventTypeName(event))).length;
  const figures = [
    `${actions} [Actions](cost.md)`,
    `**${writes} writes of the Temporal server**`,
    `${history.events!.length} events`,
    `${(1_500 * actions).toLocaleString('en-US')} Actions a second`,
  ];

  expect(
    figures.filter((figure) => !page.includes(figure)),
    'docs/operations/scaling.md does not contain these figures',
  ).toEqual([]);
});
