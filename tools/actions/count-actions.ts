import proto from '@temporalio/proto';
import { eventTypeName, type History, type HistoryEvent } from '../replay/history-events.js';

const { WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW } = proto.temporal.api.enums.v1.WorkflowTaskFailedCause;

/** The kinds of Temporal Cloud Actions that a history shows. */
export const ACTION_KINDS = [
  'start',
  'schedule',
  'child start',
  'activity',
  'activity retry',
  'local activity',
  'timer',
  'signal',
  'update',
  'search attributes',
  'options',
  'Nexus operation',
  'reset',
] as const;

export type ActionKind = (typeof ACTION_KINDS)[number];

/** The number of Actions by kind. Kinds without an Action are missing. */
export type ActionCounts = Partial<Record<ActionKind, number>>;

/** The maximum number of retried local activities that count for one workflow task. */
const MAX_LOCAL_ACTIVITY_RETRIES = 100;

/**
 * Counts the Temporal Cloud Actions of a run, as defined by https://docs.temporal.io/evaluate/cloud/actions. A history
 * does not show Actions that write no event: queries, heartbeats, rejected updates, and the current retries of an
 * activity that has not ended. docs/operations/cost.md lists them.
 */
export function countActions({ events }: History): ActionCounts {
  const counts: ActionCounts = {};
  const add = (kind: ActionKind, count: number) => {
    if (count > 0) counts[kind] = (counts[kind] ?? 0) + count;
  };
  const tasksWithMarkers = new Set<string>();
  for (const event of eventsSinceReset(events ?? [])) {
    const [kind, count] = actionsOf(event, tasksWithMarkers);
    add(kind, count);
    if (isScheduled(event)) add('schedule', 2);
  }
  return counts;
}

/** Returns the number of all Actions. */
export const totalOf = (counts: ActionCounts): number =>
  Object.values(counts).reduce((total, count) => total + count, 0);

const NO_ACTION = ['start', 0] as const;

/** @param tasksWithMarkers the workflow tasks whose markers are already counted. The function adds to this set. */
function actionsOf(event: HistoryEvent, tasksWithMarkers: Set<string>): readonly [ActionKind, number] {
  switch (eventTypeName(event)) {
    case 'WorkflowExecutionStarted':
      return ['start', isChildStart(event) ? 0 : 1];
    // One Action for the intent to start the child, and one for the start.
    case 'StartChildWorkflowExecutionInitiated':
      return ['child start', 2];
    case 'ActivityTaskScheduled':
      return ['activity', 1];
    case 'ActivityTaskStarted':
      return ['activity retry', (event.activityTaskStartedEventAttributes?.attempt || 1) - 1];
    case 'MarkerRecorded':
      return ['local activity', isFirstBilledMarker(event, tasksWithMarkers) ? 1 : 0];
    case 'WorkflowTaskCompleted':
      return ['local activity', countLocalActivityRetries(event)];
    case 'TimerStarted':
      return ['timer', 1];
    // The signal of a signal-with-start is the second event of a new run. It counts together with the start.
    case 'WorkflowExecutionSignaled':
      return ['signal', String(event.eventId) === '2' ? 0 : 1];
    case 'WorkflowExecutionUpdateAccepted':
      return ['update', 1];
    case 'UpsertWorkflowSearchAttributes':
      return ['search attributes', isVersionUpsert(event) ? 0 : 1];
    case 'WorkflowExecutionOptionsUpdated':
      return ['options', 1];
    case 'NexusOperationScheduled':
    case 'NexusOperationCancelRequested':
      return ['Nexus operation', 1];
    case 'WorkflowTaskFailed':
      return ['reset', isReset(event) ? 1 : 0];
    default:
      return NO_ACTION;
  }
}

/** The events before a reset are a copy. They count in the history of the original run. */
const eventsSinceReset = (events: HistoryEvent[]): HistoryEvent[] =>
  events.slice(Math.max(events.findLastIndex(isReset), 0));

const isReset = ({ workflowTaskFailedEventAttributes }: HistoryEvent): boolean =>
  workflowTaskFailedEventAttributes?.cause === WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW;

/** Whether a parent started this run. Its history counts the start. A later run of the child counts here. */
function isChildStart({ workflowExecutionStartedEventAttributes: started }: HistoryEvent): boolean {
  return !!started?.parentWorkflowExecution && !started.continuedExecutionRunId;
}

/** Whether a schedule started this run. The start by a schedule counts as two further Actions. */
function isScheduled({ workflowExecutionStartedEventAttributes: started }: HistoryEvent): boolean {
  return !!started?.searchAttributes?.indexedFields?.['TemporalScheduledById'] && !started.continuedExecutionRunId;
}

/** The markers of patches are free. All other markers of a workflow task count as one Action. */
function isFirstBilledMarker({ markerRecordedEventAttributes: marker }: HistoryEvent, counted: Set<string>): boolean {
  if (marker?.markerName === 'core_patch' || marker?.markerName === 'Version') return false;
  const task = String(marker?.workflowTaskCompletedEventId);
  if (counted.has(task)) return false;
  counted.add(task);
  return true;
}

function countLocalActivityRetries({ workflowTaskCompletedEventAttributes: task }: HistoryEvent): number {
  const retries = task?.meteringMetadata?.nonfirstLocalActivityExecutionAttempts ?? 0;
  return Math.min(retries, MAX_LOCAL_ACTIVITY_RETRIES);
}

/** Whether an upsert only records the version of a patch, which is free. */
function isVersionUpsert({ upsertWorkflowSearchAttributesEventAttributes: upsert }: HistoryEvent): boolean {
  const names = Object.keys(upsert?.searchAttributes?.indexedFields ?? {});
  return names.length === 1 && names[0] === 'TemporalChangeVersion';
}
