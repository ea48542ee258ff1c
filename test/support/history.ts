import type { WorkflowHandle } from '@temporalio/client';
import { typeOf } from '../../tools/replay/events.js';

/** The events of a run as the Web UI names them (`ActivityTaskScheduled`), with their subject. */
export interface HistoryEvent {
  type: string;
  /** Activity type, signal name or kind of marker, if the event has one. */
  name?: string;
}

/** The events in a workflow's history. */
export async function historyOf(handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<HistoryEvent[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).map((event) => {
    const name =
      event.activityTaskScheduledEventAttributes?.activityType?.name ??
      event.workflowExecutionSignaledEventAttributes?.signalName ??
      event.markerRecordedEventAttributes?.markerName;
    return { type: typeOf(event), ...(name && { name }) };
  });
}
