import { createHash } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { eventSubject, eventTypeName, type History, type HistoryEvent } from '../../../tools/replay/history-events.js';
import {
  replayHistories,
  type WorkflowCode,
  type RecordedHistory,
  type ReplayResult as HistoryResult,
} from '../../../tools/replay/replay-histories.js';

const CLOSE_EVENT = /^WorkflowExecution(Completed|Failed|TimedOut|Canceled|Terminated|ContinuedAsNew)$/;

interface ReplayResult {
  isClosed: boolean;
  /** The number of events of this history that have been replayed so far. */
  replayedEvents: number;
  difference?: string;
}

/** Replays many histories with one worker, because starting a worker takes longer than most replays. */
export class Replayer {
  private readonly histories = new PassThrough({ objectMode: true });
  private readonly results: AsyncGenerator<HistoryResult>;
  private readonly replayedSequences = new Set<string>();
  private readonly onStop: (() => void) | undefined;

  /** Calls `onStop` when the replay worker stops before `close`. */
  constructor(code: WorkflowCode, { onStop }: { onStop?: () => void } = {}) {
    this.onStop = onStop;
    this.results = replayHistories(this.histories, code);
  }

  /**
   * Replays a history if it has more than `before` events in completed workflow tasks. Skips the replay if a history
   * with the same event sequence has already replayed successfully.
   *
   * @throws when the replay worker has stopped.
   */
  async replay(recorded: RecordedHistory, before: number): Promise<ReplayResult> {
    const { history } = recorded;
    const isClosed = CLOSE_EVENT.test(history.events?.slice(-1).map(eventTypeName).join() ?? '');
    const events = completedTaskEvents(history);
    if (events.length <= before) return { isClosed, replayedEvents: before };
    const result = { isClosed, replayedEvents: events.length };
    const sequence = digestOf(eventSequenceOf(recorded.workflowType, events));
    if (this.replayedSequences.has(sequence)) return result;
    this.histories.write({ ...recorded, history: { events } });
    const { value, done } = await this.results.next();
    if (done) {
      this.onStop?.();
      throw new Error(`the replay worker stopped before it replayed ${recorded.workflowType} ${recorded.workflowId}`);
    }
    const difference = formatDifference(value);
    if (difference !== undefined) return { ...result, difference };
    this.replayedSequences.add(sequence);
    return result;
  }

  async close(): Promise<void> {
    this.histories.end();
    await this.results.next();
  }
}

/**
 * Returns the events up to the last completed workflow task. The replay worker would execute an open workflow task and
 * start its local activities.
 */
function completedTaskEvents({ events }: History): HistoryEvent[] {
  const types = (events ?? []).map(eventTypeName);
  const end = types.lastIndexOf('WorkflowTaskStarted');
  const done = types.lastIndexOf('WorkflowTaskCompleted');
  if (done === -1) return [];
  return end > done ? events!.slice(0, end) : events!;
}

/**
 * Returns the event types and names of a history as text. Workflows with the same sequence have made the same
 * decisions.
 */
const eventSequenceOf = (type: string, events: HistoryEvent[]): string =>
  [
    type,
    ...events.map((event) => `${eventTypeName(event)} ${eventSubject(event) ?? acceptedUpdateName(event) ?? ''}`),
  ].join('\n');

const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64');

const acceptedUpdateName = ({ workflowExecutionUpdateAcceptedEventAttributes: accepted }: HistoryEvent) =>
  accepted?.acceptedRequest?.input?.name;

/** Ignores the differences that a fault of the SDK causes, because any test with queries and updates can cause them. */
function formatDifference({ workflowType, workflowId, runId, difference }: HistoryResult): string | undefined {
  if (!difference || difference.isCausedByQuery) return undefined;
  const { event, description } = difference;
  return `${workflowType} ${workflowId}, run ${runId}, ${event ? `at event ${event.id} ${event.type}: ` : ''}${description}`;
}
