import proto from '@temporalio/proto';

export type History = proto.temporal.api.history.v1.IHistory;
export type HistoryEvent = proto.temporal.api.history.v1.IHistoryEvent;

const { EventType } = proto.temporal.api.enums.v1;

/** The type of an event as the Web UI names it: `TimerStarted`. */
export const typeOf = ({ eventType }: HistoryEvent): string =>
  (EventType[eventType ?? 0] ?? '')
    .replace('EVENT_TYPE_', '')
    .toLowerCase()
    .replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());

/**
 * The subject of an event, if it has one: the type of an activity or child, or the name of a signal, patch or local
 * activity.
 */
export function subjectOf(event: HistoryEvent): string | undefined {
  return (
    event.activityTaskScheduledEventAttributes?.activityType?.name ??
    event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name ??
    event.workflowExecutionSignaledEventAttributes?.signalName ??
    patchIn(event) ??
    mark(event).activity_type
  );
}

/** The id of the patch that a marker records. */
export const patchIn = (event: HistoryEvent): string | undefined => mark(event).id;

/** The number of the local activity in its run, counted from 1, whose result a marker records. */
export const localActivityIn = (event: HistoryEvent): number | undefined => mark(event).seq;

/** The SDK's data in a marker: the id of a patch, or the type and number of a local activity. */
interface Mark {
  id?: string;
  activity_type?: string;
  seq?: number;
}

function mark({ markerRecordedEventAttributes: marker }: HistoryEvent): Mark {
  const details = marker?.details ?? {};
  const [payload] = (details['patch-data'] ?? details['data'])?.payloads ?? [];
  return payload?.data ? (JSON.parse(Buffer.from(payload.data).toString()) as Mark) : {};
}
