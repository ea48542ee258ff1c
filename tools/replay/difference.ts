import { localActivityNumber, eventSubject, eventTypeName, type HistoryEvent } from './history-events.js';

/** Where and how the code differs from the history. */
export interface Difference {
  /** Missing when neither the replay's error nor the history shows the event. */
  event?: { id: number; type: string; subject?: string };
  /** What the history has, and what the code does instead, in words. */
  description: string;
}

/** The SDK's message for the difference, without the text in which the SDK wraps it. */
export function nondeterminismMessage(error: Error): string {
  const [, quoted] = /message: ("(?:[^"\\]|\\.)*")/.exec(error.message) ?? [];
  const complaint = quoted === undefined ? error.message : unquoteRustString(quoted);
  return complaint.replace('[TMPRL1100] Nondeterminism error: ', '');
}

/**
 * Parses a string in Rust's debug format. Some of its escapes are invalid in JSON; such a string is returned unparsed.
 */
function unquoteRustString(quoted: string): string {
  try {
    return JSON.parse(quoted) as string;
  } catch {
    return quoted.slice(1, -1);
  }
}

/**
 * Whether a complaint identifies the event: by its id, by the number of a local activity, or because it is the first
 * event.
 */
export const identifiesEvent = (complaint: string): boolean =>
  /HistoryEvent\(id: |LocalActivity\(|^Failed to initialize/.test(complaint);

/**
 * Parses a complaint. `candidates` are the events of the workflow task that failed, because complaints about a name do
 * not include the event.
 */
export function parseDifference(complaint: string, candidates: readonly HistoryEvent[]): Difference {
  const event = candidates.find(eventMatcher(complaint)) ?? candidates[0];
  const where = event && { id: Number(event.eventId), type: eventTypeName(event), ...subjectField(event) };
  return { ...(where && { event: where }), description: describeDifference(complaint, where) };
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

/** The SDK's messages by their pattern, and their plain wording. */
const MESSAGE_PATTERNS: [RegExp, (found: string[], event: string) => string][] = [
  [/^No command scheduled for event/, (_found, event) => `the history has ${event}, the code does nothing`],
  [/^Missing associated machine for/, (_found, event) => `the history has ${event}, the code does not do that`],
  [
    /^([\w ]+) machine does not handle this event/,
    ([machine], event) => `the history has ${event}, the code ${machine}`,
  ],
  [
    /^(.+?) of (?:scheduled event|recorded marker|.*?) '(.*)' does not match .* '(.*)'/,
    ([what, inHistory, inCode]) => `${what!.toLowerCase()} in the history is ${inHistory}, in the code ${inCode}`,
  ],
  [
    /^Non-deprecated patch marker encountered for change (\S+),/,
    ([patch]) => `the history has the patch ${patch}, the code does not use it`,
  ],
  [/^Failed to initialize workflow of type '(.*)'/, ([type]) => `the code has no workflow type ${type}`],
];

function describeDifference(complaint: string, event: Difference['event']): string {
  const named = event ? [event.type, event.subject].filter(Boolean).join(' ') : 'an event';
  for (const [shape, words] of MESSAGE_PATTERNS) {
    const found = shape.exec(complaint);
    if (found) return words(found.slice(1), named);
  }
  return complaint;
}
