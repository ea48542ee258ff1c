import type { WorkflowHandle } from '@temporalio/client';
import { waitUntil } from '../processes.js';
import { eventTypeName } from '../../../tools/replay/history-events.js';

/** A history event with the type that the Web UI shows, for example `ActivityTaskScheduled`. */
export interface EventSummary {
  type: string;
  /** The activity type, the signal name or the marker name, if the event has one. */
  name?: string;
}

/** Returns the events in the history of a workflow. */
export async function fetchEventSummaries(handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<EventSummary[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).map((event) => {
    const name =
      event.activityTaskScheduledEventAttributes?.activityType?.name ??
      event.workflowExecutionSignaledEventAttributes?.signalName ??
      event.markerRecordedEventAttributes?.markerName;
    return { type: eventTypeName(event), ...(name && { name }) };
  });
}

/** Waits until the workflow has handled the request of its cancellation. */
export async function waitForHandledCancellation(
  handle: Pick<WorkflowHandle, 'fetchHistory' | 'workflowId'>,
): Promise<void> {
  const isHandled = async () => {
    const types = (await fetchEventSummaries(handle)).map(({ type }) => type);
    const requestedAt = types.indexOf('WorkflowExecutionCancelRequested');
    return (requestedAt !== -1 && types.lastIndexOf('WorkflowTaskCompleted') > requestedAt) || undefined;
  };
  await waitUntil(isHandled, {
    description: `the cancellation handled by ${handle.workflowId}`,
    timeoutMs: 10_000,
    intervalMs: 20,
  });
}
