import type { WorkflowHandle } from '@temporalio/client';
import { eventTypeName } from '../../../tools/replay/history-events.js';

/** The events of a run as the Web UI names them (`ActivityTaskScheduled`), with their subject. */
export interface EventSummary {
  type: string;
  /** Activity type, signal name or kind of marker, if the event has one. */
  name?: string;
}

/** The events in a workflow's history. */
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
