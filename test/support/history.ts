import type { WorkflowHandle } from '@temporalio/client';
import proto from '@temporalio/proto';

const { EventType } = proto.temporal.api.enums.v1;

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
    return { type: pascalCase(EventType[event.eventType ?? 0] ?? ''), ...(name && { name }) };
  });
}

/** `EVENT_TYPE_TIMER_STARTED` as `TimerStarted`. */
const pascalCase = (name: string) =>
  name
    .replace('EVENT_TYPE_', '')
    .toLowerCase()
    .replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());

/** The patches that a history has taken, in the order in which they were asked for. */
export function patchesIn({ events }: Awaited<ReturnType<WorkflowHandle['fetchHistory']>>): string[] {
  return (events ?? []).flatMap(({ markerRecordedEventAttributes: marker }) => {
    const [payload] = marker?.markerName === 'core_patch' ? (marker.details?.['patch-data']?.payloads ?? []) : [];
    return payload ? [(JSON.parse(Buffer.from(payload.data!).toString()) as { id: string }).id] : [];
  });
}
