import { PassThrough } from 'node:stream';
import { subjectOf, typeOf, type History, type HistoryEvent } from '../../tools/replay/events.js';
import { replay, type Code, type Recorded, type Replayed } from '../../tools/replay/replay.js';

const CLOSED = /^WorkflowExecution(Completed|Failed|TimedOut|Canceled|Terminated|ContinuedAsNew)$/;

interface Found {
  closed: boolean;
  /** The number of events replayed so far. */
  replayed: number;
  difference?: string;
}

/** Replays many histories with one worker, because starting a worker takes longer than most replays. */
export class Replayer {
  private readonly histories = new PassThrough({ objectMode: true });
  private readonly results: AsyncGenerator<Replayed>;
  private readonly known = new Set<string>();

  constructor(code: Code) {
    this.results = replay(this.histories, code);
  }

  /**
   * Replays a history if it has more completed events than `before`, unless a history with the same sequence of events
   * replayed successfully.
   *
   * @throws when the worker has ended.
   */
  async replay(recorded: Recorded, before: number): Promise<Found> {
    const { history } = recorded;
    const closed = CLOSED.test(history.events?.slice(-1).map(typeOf).join() ?? '');
    const events = decided(history);
    if (events.length <= before) return { closed, replayed: before };
    const found = { closed, replayed: events.length };
    const course = courseOf(recorded.type, events);
    if (this.known.has(course)) return found;
    this.histories.write({ ...recorded, history: { events } });
    const { value, done } = await this.results.next();
    if (done) throw new Error(`the worker that replays has ended before ${recorded.type} ${recorded.workflowId}`);
    const difference = inOneLine(value);
    if (difference !== undefined) return { ...found, difference };
    this.known.add(course);
    return found;
  }

  async close(): Promise<void> {
    this.histories.end();
    await this.results.next();
  }
}

/**
 * The events up to the last completed workflow task. The replay worker would take an open workflow task for its own and
 * start its local activities.
 */
function decided({ events }: History): HistoryEvent[] {
  const types = (events ?? []).map(typeOf);
  const end = types.lastIndexOf('WorkflowTaskStarted');
  const done = types.lastIndexOf('WorkflowTaskCompleted');
  if (done === -1) return [];
  return end > done ? events!.slice(0, end) : events!;
}

/** The sequence of events by name. Workflows with the same sequence have made the same decisions. */
const courseOf = (type: string, events: HistoryEvent[]): string =>
  [type, ...events.map((event) => `${typeOf(event)} ${subjectOf(event) ?? updateIn(event) ?? ''}`)].join('\n');

const updateIn = ({ workflowExecutionUpdateAcceptedEventAttributes: accepted }: HistoryEvent) =>
  accepted?.acceptedRequest?.input?.name;

function inOneLine({ type, workflowId, runId, difference }: Replayed): string | undefined {
  if (!difference) return undefined;
  const { event, what } = difference;
  return `${type} ${workflowId}, run ${runId}, ${event ? `at event ${event.id} ${event.type}: ` : ''}${what}`;
}
