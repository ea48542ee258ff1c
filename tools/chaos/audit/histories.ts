import type { Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '../../../src/temporal/sdk/payloads.js';
import type { HistoryEvent } from '../../replay/history-events.js';
import { fetchHistories } from '../../replay/histories.js';
import { replayHistories, type WorkflowCode, type RecordedHistory } from '../../replay/replay-histories.js';
import type { WorkflowRun } from './runs.js';
import type { Findings } from './findings.js';

/** Facts that the auditor can read only from histories. */
export interface HistoryFacts {
  /** The results of completed runs, by run id. */
  results: Map<string, unknown>;
  /**
   * The idempotency keys of the completed changes of carts, by workflow id and then by first run id. A reopened cart
   * has several first runs. A cart whose first change was rejected is not included, because it never opened.
   */
  cartChangeIds: Map<string, Map<string, Set<string>>>;
}

type RunReference = Pick<WorkflowRun, 'workflowId' | 'runId' | 'type'>;

const CART_CHANGE_UPDATES: readonly unknown[] = ['addItem', 'setQuantity', 'removeItem'];

/** Reads and replays every history. Records a violation when a history does not replay. */
export async function readHistories(
  client: Client,
  runs: RunReference[],
  code: WorkflowCode,
  findings: Findings,
): Promise<HistoryFacts> {
  const facts: HistoryFacts = { results: new Map(), cartChangeIds: new Map() };
  const unread = new Map(runs.map((run) => [run.runId, run]));
  for await (const { difference, ...recorded } of replayHistories(fetchHistories(client, runs), code)) {
    const { workflowId, history } = recorded;
    findings.replayed.histories += 1;
    unread.delete(recorded.runId);
    findings.replayed.events += history.events?.length ?? 0;
    if (difference) findings.addViolation(workflowId, `does not replay: ${difference.description}`);
    await collectFacts(client, recorded, facts);
  }
  for (const { workflowId } of unread.values()) findings.addViolation(workflowId, 'was not replayed');
  return facts;
}

async function collectFacts(
  client: Client,
  { workflowId, runId, history }: RecordedHistory,
  facts: HistoryFacts,
): Promise<void> {
  const decoded = (payloads: Parameters<typeof decodeArrayFromPayloads>[1]) =>
    decodeArrayFromPayloads(client.options.loadedDataConverter, payloads);
  const accepted = new Map<string, HistoryEvent>();
  const [started] = history.events ?? [];
  const life = started?.workflowExecutionStartedEventAttributes?.firstExecutionRunId ?? runId;
  for (const event of history.events ?? []) {
    const completed = event.workflowExecutionCompletedEventAttributes;
    if (completed) facts.results.set(runId, (await decoded(completed.result?.payloads))[0]);

    const request = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest;
    if (request) accepted.set(request.meta?.updateId ?? '', event);
    const answered = event.workflowExecutionUpdateCompletedEventAttributes;
    if (!answered?.outcome?.success) continue;
    const input = accepted.get(answered.meta?.updateId ?? '')?.workflowExecutionUpdateAcceptedEventAttributes
      ?.acceptedRequest?.input;
    if (!CART_CHANGE_UPDATES.includes(input?.name)) continue;
    const [change] = (await decoded(input?.args?.payloads)) as [{ idempotencyKey?: string }];
    const lives = facts.cartChangeIds.get(workflowId) ?? new Map<string, Set<string>>();
    facts.cartChangeIds.set(workflowId, lives);
    lives.set(life, (lives.get(life) ?? new Set()).add(change.idempotencyKey ?? ''));
  }
}
