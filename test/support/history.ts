import type { WorkflowHandle } from '@temporalio/client';
import { typeOf } from '../../dev/replay/events.js';

/** The events of a run as the Web UI names them: `ActivityTaskScheduled` and so on, with what they are about. */
export interface HistoryEvent {
  type: string;
  /** Activity type, signal name, or kind of marker, where there is one. */
  name?: string;
}

/** What a workflow has written to its history. */
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
