import type { WorkflowHandle } from '@temporalio/client';
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
