import { localActivityNumber, eventSubject, eventTypeName, type HistoryEvent } from './history-events.js';

/** The first difference between the commands of the code and the history. */
export interface Difference {
  /** The event at which they differ. Missing when neither the SDK's error nor the history identifies it. */
  event?: { id: number; type: string; subject?: string };
  /** What the history contains and what the code does instead. */
  description: string;
  /** How the code differs. Undefined if the SDK's message has an unknown form. */
  change?: CodeChange;
  /** Set if a query caused the difference and the code is correct. */
  isCausedByQuery?: true;
}

/** A change of the code that the SDK's message reports. */
export type CodeChange =
  | { kind: 'other-name'; inHistory: string; inCode: string }
  /** `machine` is the SDK's name of the command that the code starts instead. */
  | { kind: 'other-command'; machine: string }
  | { kind: 'missing-command' }
  | { kind: 'missing-patch'; patch: string }
  | { kind: 'missing-type'; type: string };

/** Returns the part of the SDK's error message that describes the difference. */
export function nondeterminismMessage(error: Error): string {
  const [, quoted] = /message: ("(?:[^"\\]|\\.)*")/.exec(error.message) ?? [];
  const complaint = quoted === undefined ? error.message : unquoteRustString(quoted);
  return complaint.replace('[TMPRL1100] Nondeterminism error: ', '');
}

/** Parses a string in Rust's debug format. Returns it unparsed when an escape is invalid in JSON. */
function unquoteRustString(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted.slice(1, -1);
  }
}

/**
 * Whether the SDK's message identifies the event: by its id, by the number of a local activity, or as the first event.
 */
export const identifiesEvent = (complaint: string): boolean =>
  /HistoryEvent\(id: |LocalActivity\(|^Failed to initialize/.test(complaint);

/**
 * Parses the SDK's message. `candidates` are the events of the failed workflow task, because a message about a name
 * does not identify its event.
 */
export function parseDifference(complaint: string, candidates: readonly HistoryEvent[]): Difference {
  const event = candidates.find(eventMatcher(complaint)) ?? candidates[0];
  const where = event && { id: Number(event.eventId), type: eventTypeName(event), ...subjectField(event) };
  return { ...(where && { event: where }), ...describeDifference(complaint, where) };
}

function eventMatcher(complaint: string): (candidate: HistoryEvent) => boolean {
  const id = /HistoryEvent\(id: (\d+), /.exec(complaint)?.[1];
  if (id) return ({ eventId }) => String(eventId) === id;
  const local = /LocalActivity\((\d+)\)/.exec(complaint)?.[1];
  if (local) return (candidate) => localActivityNumber(candidate) === Number(local);
  const names = [...complaint.matchAll(/'([^']+)'|for change (\S+),/g)].map(([, quoted, patch]) => quoted ?? patch);
  return (candidate) => names.includes(eventSubject(candidate));
}

const subjectField = (event: HistoryEvent) => {
  const subject = eventSubject(event);
  return subject === undefined ? {} : { subject };
};

const RESULT_EVENT = /^(TimerFired|(ActivityTask|ChildWorkflowExecution)(Completed|Failed|TimedOut|Canceled))$/;
const EARLIER_THAN_UPDATES = /^WorkflowExecution(Started|Signaled)$/;

/**
 * Whether a query caused the difference. A worker handles an update before the results in the same workflow task, so
 * the commands that follow a result come after the update. They come before it only if a query delivered the result
 * before the task. See docs/concepts/versioning.md.
 */
export function isCausedByQuery(events: readonly HistoryEvent[], { event, description }: Difference): boolean {
  if (!event || !description.endsWith('the code Update')) return false;
  const types = events.map(eventTypeName);
  const command = events.findIndex(({ eventId }) => Number(eventId) === event.id);
  const completed = types.lastIndexOf('WorkflowTaskCompleted', command);
  const previous = completed === -1 ? -1 : types.lastIndexOf('WorkflowTaskCompleted', completed - 1);
  const received = types.slice(previous + 1, completed);
  const next = types.indexOf('WorkflowTaskScheduled', command);
  return (
    types.slice(command, next === -1 ? undefined : next).includes('WorkflowExecutionUpdateAccepted') &&
    received.some((type) => RESULT_EVENT.test(type)) &&
    !received.some((type) => EARLIER_THAN_UPDATES.test(type))
  );
}

/** Patterns of the SDK's messages, each with a plain description and the change of the code. */
const MESSAGE_PATTERNS: [RegExp, (match: string[], event: string) => { description: string; change: CodeChange }][] = [
  [
    /^No command scheduled for event/,
    (_found, event) => ({
      description: `the history has ${event}, the code does nothing`,
      change: { kind: 'missing-command' },
    }),
  ],
  [
    /^Missing associated machine for/,
    (_found, event) => ({
      description: `the history has ${event}, the code does not do that`,
      change: { kind: 'missing-command' },
    }),
  ],
  [
    /^([\w ]+) machine does not handle this event/,
    ([machine], event) => ({
      description: `the history has ${event}, the code ${machine}`,
      change: { kind: 'other-command', machine: machine! },
    }),
  ],
  [
    /^(.+?) of (?:scheduled event|recorded marker|.*?) '(.*)' does not match .* '(.*)'/,
    ([what, inHistory, inCode]) => ({
      description: `${what!.toLowerCase()} in the history is ${inHistory}, in the code ${inCode}`,
      change: { kind: 'other-name', inHistory: inHistory!, inCode: inCode! },
    }),
  ],
  [
    /^Non-deprecated patch marker encountered for change (\S+),/,
    ([patch]) => ({
      description: `the history has the patch ${patch}, the code does not use it`,
      change: { kind: 'missing-patch', patch: patch! },
    }),
  ],
  [
    /^Failed to initialize workflow of type '(.*)'/,
    ([type]) => ({
      description: `the code has no workflow type ${type}`,
      change: { kind: 'missing-type', type: type! },
    }),
  ],
];

function describeDifference(complaint: string, event: Difference['event']): Pick<Difference, 'description' | 'change'> {
  const eventName = event ? [event.type, event.subject].filter(Boolean).join(' ') : 'an event';
  for (const [pattern, describe] of MESSAGE_PATTERNS) {
    const found = pattern.exec(complaint);
    if (found) return describe(found.slice(1), eventName);
  }
  return { description: complaint };
}
