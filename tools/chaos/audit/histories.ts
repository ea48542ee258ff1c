import type { Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { HistoryEvent } from '../../replay/events.js';
import { fetched } from '../../replay/histories.js';
import { replay, type Code, type Recorded } from '../../replay/replay.js';
import type { Run } from './executions.js';
import type { Findings } from './findings.js';

/** Facts that only histories contain. */
export interface Facts {
  /** The results of completed runs, by run id. */
  results: Map<string, unknown>;
  /**
   * The request ids of the changes to carts, by workflow id and first run id of each life of the cart. A cart whose
   * first change was rejected never opened and is not included.
   */
  changes: Map<string, Map<string, Set<string>>>;
}

type Where = Pick<Run, 'workflowId' | 'runId' | 'type'>;

const CART_CHANGES: readonly unknown[] = ['addItem', 'setQuantity', 'removeItem'];

/** Reads and replays every history. A difference from the code is a violation. */
export async function readHistories(client: Client, runs: Where[], code: Code, findings: Findings): Promise<Facts> {
  const facts: Facts = { results: new Map(), changes: new Map() };
  const unread = new Map(runs.map((run) => [run.runId, run]));
  for await (const { difference, ...recorded } of replay(fetched(client, runs), code)) {
    const { workflowId, history } = recorded;
    findings.replayed.histories += 1;
    unread.delete(recorded.runId);
    findings.replayed.events += history.events?.length ?? 0;
    if (difference) findings.violate(workflowId, `does not replay: ${difference.what}`);
    await note(client, recorded, facts);
  }
  for (const { workflowId } of unread.values()) findings.violate(workflowId, 'was not replayed');
  return facts;
}

async function note(client: Client, { workflowId, runId, history }: Recorded, facts: Facts): Promise<void> {
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
    if (!CART_CHANGES.includes(input?.name)) continue;
    const [change] = (await decoded(input?.args?.payloads)) as [{ requestId?: string }];
    const lives = facts.changes.get(workflowId) ?? new Map<string, Set<string>>();
    facts.changes.set(workflowId, lives);
    lives.set(life, (lives.get(life) ?? new Set()).add(change.requestId ?? ''));
  }
}
