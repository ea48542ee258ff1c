import proto from '@temporalio/proto';

export type History = proto.temporal.api.history.v1.IHistory;
export type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

const { EventType } = proto.temporal.api.enums.v1;

/** Returns the type of an event as the Web UI shows it, for example `TimerStarted`. */
export const eventTypeName = ({ eventType }: HistoryEvent): string =>
  (EventType[eventType ?? 0] ?? '')
    .replace('EVENT_TYPE_', '')
    .toLowerCase()
    .replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());

/**
 * Returns the type of an event's activity or child workflow, or the name of its signal, patch or local activity.
 * Undefined for other events.
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

/** Returns the id of the patch that a marker records. */
export const markerPatchId = (event: HistoryEvent): string | undefined => parseMarker(event).id;

/** Returns the number of the local activity that a marker records. Each run numbers its local activities from 1. */
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
