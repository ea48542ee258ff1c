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

/** What an event is about, where it says: the type of an activity or a child, a signal, a patch, a local activity. */
export function subjectOf(event: HistoryEvent): string | undefined {
  return (
    event.activityTaskScheduledEventAttributes?.activityType?.name ??
    event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowType?.name ??
    event.workflowExecutionSignaledEventAttributes?.signalName ??
    patchIn(event) ??
    mark(event).activity_type
  );
}

/** The patch that a marker is of. */
export const patchIn = (event: HistoryEvent): string | undefined => mark(event).id;

/** Which local activity of its run a marker is the result of, counted from 1. */
export const localActivityIn = (event: HistoryEvent): number | undefined => mark(event).seq;

/** What the SDK keeps in a marker: of a patch its id, of a local activity its type and number. */
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
