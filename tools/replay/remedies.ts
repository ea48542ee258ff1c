import { eventSubject, eventTypeName, type HistoryEvent } from './history-events.js';
import type { CodeChange, Difference } from './difference.js';

const GUIDE = 'docs/concepts/versioning.md#patches';

/**
 * Returns what to do about a difference. Names one cause only if the history proves it; otherwise names all that the
 * history allows. Undefined if a query caused the difference, or if the change is unknown.
 */
export function suggestRemedy(events: readonly HistoryEvent[], difference: Difference): string | undefined {
  const { change, event, isCausedByQuery } = difference;
  if (isCausedByQuery || !change) return undefined;
  return `${adviceFor(change, { events, event })} See ${GUIDE}`;
}

interface Recorded {
  events: readonly HistoryEvent[];
  event: Difference['event'];
}

function adviceFor(change: CodeChange, recorded: Recorded): string {
  switch (change.kind) {
    case 'missing-type':
      return `Removed: the workflow type ${change.type}. Export it from src/workflows/index.ts until no run uses the type.`;
    case 'missing-patch':
      return `Removed: the patch ${change.patch}. Write \`patched('${change.patch}')\`, or \`deprecatePatch('${change.patch}')\` when no run needs the old path.`;
    case 'missing-command':
      return `${removed(nameOf(recorded.event))} If the code now waits before it, put the wait behind a patch.`;
    case 'other-command':
      return `Either ${lowerFirst(added(COMMAND_NAMES[change.machine] ?? change.machine))} Or ${lowerFirst(removed(nameOf(recorded.event)))}`;
    case 'other-name':
      return adviceForName(change, recorded);
  }
}

/** The history has `inHistory`, and the code has `inCode` at the same place. */
function adviceForName(
  { inHistory, inCode }: CodeChange & { kind: 'other-name' },
  { events, event }: Recorded,
): string {
  const places = events.filter((candidate) => isCommandFor(candidate, inCode)).map(({ eventId }) => Number(eventId));
  const at = event?.id ?? 0;
  if (places.length === 0)
    return `${addedLike(event, inCode)} If ${inCode} is a new name of ${inHistory}: ${renamed(inHistory, inCode)}`;
  const comesLater = places.length === 1 && places[0]! > at;
  const recursLater = events.some((candidate) => Number(candidate.eventId) > at && isCommandFor(candidate, inHistory));
  if (comesLater && !recursLater)
    return `Removed or moved: ${inHistory}, which the history has before ${inCode}. Write \`if (patched('${kebab(inHistory)}-order'))\` with the new order, and keep the old order as the alternative.`;
  return `Either ${lowerFirst(addedLike(event, inCode))} Or ${lowerFirst(removed(inHistory))}`;
}

/** Whether the event is the command that starts an activity or a child workflow of this type. */
const isCommandFor = (event: HistoryEvent, name: string): boolean =>
  eventSubject(event) === name &&
  ['ActivityTaskScheduled', 'StartChildWorkflowExecutionInitiated'].includes(eventTypeName(event));

const added = (name: string): string => `New: ${name}. Put it behind \`if (patched('${kebab(`add ${name}`)}'))\`.`;

/** Names a new command of the kind that the history has. Only an activity is a function that the workflow calls. */
const addedLike = (event: Difference['event'], name: string): string =>
  event?.type === 'ActivityTaskScheduled'
    ? `New: ${name}. Write \`if (patched('${kebab(name)}')) await ${name}()\`.`
    : added(name);

const removed = (name: string): string =>
  `Removed: ${name}. Keep the old code as \`if (!patched('${kebab(`remove ${name}`)}'))\` until no open run needs it.`;

const renamed = (from: string, to: string): string =>
  `write \`patched('${kebab(`rename ${from}`)}') ? ${to} : ${from}\`, and keep ${from} registered.`;

const nameOf = (event: Difference['event']): string =>
  event?.subject ?? COMMAND_EVENTS[event?.type ?? ''] ?? 'a command';

const kebab = (name: string): string =>
  name
    .replace(/(?<=[a-z0-9])(?=[A-Z])/g, '-')
    .replace(/\W+/g, '-')
    .toLowerCase();

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);

/** Names of commands for the state machines in the SDK's messages. */
const COMMAND_NAMES: Record<string, string> = {
  Activity: 'an activity',
  Timer: 'a timer',
  ChildWorkflow: 'a child workflow',
  Patch: 'a patch',
  UpsertSearchAttributes: 'an update of search attributes',
};

const COMMAND_EVENTS: Record<string, string> = {
  TimerStarted: 'a timer',
  UpsertWorkflowSearchAttributes: 'an update of search attributes',
  SignalExternalWorkflowExecutionInitiated: 'a signal to another workflow',
};
