import proto from '@temporalio/proto';

export type History = proto.temporal.api.history.v1.IHistory;
export type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

const { EventType } = proto.temporal.api.enums.v1;

/** The type of an event as the Web UI names it: `TimerStarted`. */
export const eventTypeName = ({ eventType }: HistoryEvent): string =>
  (EventType[eventType ?? 0] ?? '')
    .replace('EVENT_TYPE_', '')
    .toLowerCase()
    .replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());

/**
 * The subject of an event, if it has one: the type of an activity or child, or the name of a signal, patch or local
 * activity.
 */
export function eventSubject(event: HistoryEvent): string | undefined {
  return (
    event.activityTaskScheduledEventAttributes?.activityType?.name ??
    event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name ??
    event.workflowExecutionSignaledEventAttributes?.signalName ??
    markerPatchId(event) ??
    parseMarker(event).activity_type
  );
}

/** The id of the patch that a marker records. */
export const markerPatchId = (event: HistoryEvent): string | undefined => parseMarker(event).id;

/** The number of the local activity in its run, counted from 1, whose result a marker records. */
export const localActivityNumber = (event: HistoryEvent): number | undefined => parseMarker(event).seq;

/** The SDK's data in a marker: the id of a patch, or the type and number of a local activity. */
interface MarkerData {
  id?: string;
  activity_type?: string;
  seq?: number;
}

function parseMarker({ markerRecordedEventAttributes: marker }: HistoryEvent): MarkerData {
  const details = marker?.details ?? {};
  const [payload] = (details['patch-data'] ?? details['data'])?.payloads ?? [];
  return payload?.data ? (JSON.parse(Buffer.from(payload.data).toString()) as MarkerData) : {};
}
