import { Worker, type DataConverter } from '@temporalio/worker';
import {
  identifiesEvent,
  isCausedByQuery,
  nondeterminismMessage,
  parseDifference,
  type Difference,
} from './difference.js';
import { eventTypeName, type History, type HistoryEvent } from './history-events.js';

/** The history of a run and where it comes from. */
export interface RecordedHistory {
  /** The history file. Undefined for a run on a server. */
  file?: string;
  workflowId: string;
  runId: string;
  workflowType: string;
  history: History;
}

export interface ReplayResult extends RecordedHistory {
  /** Missing when the code replays the history. */
  difference?: Difference;
}

export type Bundle = { code: string } | { codePath: string };

/** A bundle with tracing exports spans through a sink. The SDK logs an error when this sink is missing. */
const sinks = { exporter: { export: { fn: () => undefined } } };

type Histories = AsyncIterable<RecordedHistory> | Iterable<RecordedHistory>;

/** The workflow code with which histories are replayed. */
export interface WorkflowCode {
  workflowBundle: Bundle;
  /** Decodes the payloads of the histories. */
  dataConverter?: DataConverter;
}

/** Replays histories in order, one at a time. */
export async function* replayHistories(histories: Histories, code: WorkflowCode): AsyncGenerator<ReplayResult> {
  let current: RecordedHistory | undefined;
  async function* inputs() {
    for await (current of histories) yield { workflowId: current.workflowId, history: current.history };
  }
  for await (const { error } of Worker.runReplayHistories({ ...code, sinks }, inputs())) {
    const recorded = current!;
    yield { ...recorded, ...(error && { difference: await explainDifference(recorded, error, code) }) };
  }
}

async function explainDifference(
  { workflowId, history }: RecordedHistory,
  error: Error,
  code: WorkflowCode,
): Promise<Difference> {
  const complaint = nondeterminismMessage(error);
  const events = history.events ?? [];
  const difference = parseDifference(
    complaint,
    identifiesEvent(complaint) ? events : await findFailingWorkflowTask(workflowId, events, code),
  );
  if (!isCausedByQuery(events, difference)) return difference;
  const description = `${difference.description}, because a query came before the update (docs/concepts/versioning.md)`;
  return { ...difference, description, isCausedByQuery: true };
}

/**
 * Returns the events of the first workflow task that does not replay. Uses a binary search, because a history can be
 * replayed up to any workflow task.
 */
async function findFailingWorkflowTask(
  workflowId: string,
  events: HistoryEvent[],
  code: WorkflowCode,
): Promise<HistoryEvent[]> {
  const starts = events.flatMap((event, index) => (eventTypeName(event) === 'WorkflowTaskStarted' ? [index] : []));
  let [low, high] = [0, starts.length];
  const middle = () => Math.floor((low + high) / 2);
  function* halves() {
    while (low < high) yield { workflowId, history: { events: events.slice(0, starts[middle()]! + 1) } };
  }
  for await (const { error } of Worker.runReplayHistories({ ...code, sinks }, halves())) {
    if (error) high = middle();
    else low = middle() + 1;
  }
  const from = low === 0 ? 0 : starts[low - 1]! + 1;
  const written = events.slice(from, starts[low] ?? events.length);
  return written.filter((event) => !eventTypeName(event).startsWith('WorkflowTask'));
}
