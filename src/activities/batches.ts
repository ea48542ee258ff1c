import { ApplicationFailure } from '@temporalio/common';
import type { OutsideOperation } from '../batch-operations/operation.js';
import type { Operations } from '../batch-operations/index.js';
import { bounded } from '../temporal/payloads/text.js';
import { batchInput, type BatchStatus, type BatchTally } from '../schemas/batch.js';
import type { Reason } from '../schemas/reason.js';
import { RunSuperseded, type ItemFailure, type OpenRound, type StagedItem, type TaskKey } from '../store/batches.js';
import type { Store } from '../store/index.js';
import { assertWorkflowId, parseInput, refused } from './failures.js';
import { whileBeating } from './outside.js';

/** For operations that call an external system: the number of items after which progress is recorded. */
const ITEMS_PER_NOTE = 100;

/**
 * Limits for the failure reason of an item, in UTF-16 code units. The chunk's row stores the reasons of all its items.
 */
const MAX_TYPE = 100;
const MAX_MESSAGE = 500;

/** A chunk, with the data it needs from its batch. */
export interface BatchTask extends TaskKey {
  batchId: string;
  number: number;
  operation: string;
}

/** An execution of a batch. */
export interface BatchRun {
  workflowId: string;
  /** The first run id, which a reset keeps. */
  firstRunId: string;
  startedAt: string;
}

/** The state that a batch reports when it asks for its progress. */
export interface ProgressReport {
  batchId: string;
  roundId: number;
  status: BatchStatus;
  /** When the batch had this status. */
  at: string;
}

export function createBatchActivities({ store, operations }: { store: Store; operations: Operations }) {
  function operationOf(name: string) {
    const operation = operations.get(name);
    if (operation) return operation;
    // Retryable, because a worker that has this operation may be deployed soon.
    throw ApplicationFailure.create({ type: 'UnknownOperation', message: `this worker has no operation ${name}` });
  }

  return {
    /**
     * Parses the input of a batch and returns the work of this execution. The workflow id must match the batch id, so
     * that a batch has one open execution at most.
     *
     * @throws `InvalidInput`; `BatchNotFound` when nothing was uploaded under this id; `Superseded` when a later
     * execution has opened the batch.
     */
    async openBatch(
      input: unknown,
      { workflowId, firstRunId, startedAt }: BatchRun,
    ): Promise<OpenRound & { tally: BatchTally }> {
      const { batchId } = parseInput(batchInput, input);
      assertWorkflowId('/batchId', `batch:${batchId}`, workflowId);
      return await whileBeating(async () => {
        const round = await store.openRound(batchId, firstRunId, new Date(startedAt)).catch((error: unknown) => {
          if (error instanceof RunSuperseded) throw refused('Superseded', `a later run works on batch ${batchId}`);
          throw error;
        });
        if (!round) throw notUploaded(batchId);
        return { ...round, tally: await tallyOf(batchId) };
      });
    },

    /** Processes the items of a chunk, each once. Skips a chunk that is already done or given up. */
    async runBatchTask({ operation: name, batchId, number, ...key }: BatchTask): Promise<void> {
      const operation = operationOf(name);
      if (operation.kind === 'outside') return await runOutside(operation, batchId, key);
      await whileBeating(() =>
        store.applyTask(key, (tx, items) => operation.apply(tx, typed(items), { batchId, number })),
      );
    },

    /** Counts the unfinished items of these chunks as failed. */
    async giveUpBatchTasks({ roundId, first, count, reason }: GiveUp): Promise<void> {
      await whileBeating(() => store.giveUpTasks(roundId, { first, count }, reason));
    },

    /** Counts the progress of a batch and records it for lists. @throws `BatchNotFound`. */
    async countProgress(report: ProgressReport): Promise<BatchTally> {
      return await whileBeating(() => record(report, false));
    },

    /**
     * Counts and records the final progress. With failed items, `completed` becomes `completed_with_failures`. @throws
     * `BatchNotFound`.
     */
    async closeBatch(report: ProgressReport): Promise<BatchTally> {
      return await whileBeating(() => record(report, true));
    },
  };

  async function record({ batchId, at, ...report }: ProgressReport, isFinal: boolean): Promise<BatchTally> {
    const tally = await store.recordProgress(batchId, { ...report, at: new Date(at), isFinal });
    if (!tally) throw notUploaded(batchId);
    return tally;
  }

  async function tallyOf(batchId: string): Promise<BatchTally> {
    const tally = await store.tallyBatch(batchId);
    if (!tally) throw notUploaded(batchId);
    return tally;
  }

  /**
   * Calls the external system for every unfinished item. The next attempt resumes at the recorded position and repeats
   * later calls with the same idempotency keys.
   */
  async function runOutside(operation: OutsideOperation, batchId: string, key: TaskKey): Promise<void> {
    const task = await store.readTask(key);
    if (!task) return;
    const { items, failures } = task;
    let { position } = task;
    await whileBeating(
      async (cancellation) => {
        while (position < items.length) {
          const group = items.slice(position, position + ITEMS_PER_NOTE);
          const failed = await callForEach(operation, batchId, group, cancellation);
          failures.push(...failed.map(({ index, reason }) => ({ index: position + index, reason })));
          position += group.length;
          const isDone = position === items.length;
          if (!(await store.noteProgress(key, { position, failures, isDone }))) return;
        }
      },
      () => ({ position }),
    );
  }
}

const notUploaded = (batchId: string) => refused('BatchNotFound', `nothing was uploaded as batch ${batchId}`);

interface GiveUp {
  roundId: number;
  first: number;
  count: number;
  reason: Reason;
}

/** The items were validated by the operation's schema at upload. */
const typed = (items: StagedItem[]) => items as StagedItem<Record<string, unknown>>[];

/**
 * Calls the operation for each item, with limited concurrency.
 *
 * @throws the first retryable error, after all open calls have ended.
 */
async function callForEach(
  operation: OutsideOperation,
  batchId: string,
  items: StagedItem[],
  cancellation: AbortSignal,
): Promise<ItemFailure[]> {
  const failures: ItemFailure[] = [];
  const left = typed(items).entries();
  let trouble: { error: unknown } | undefined;
  async function lane(): Promise<void> {
    for (const [index, { line, item }] of left) {
      if (trouble) return;
      try {
        cancellation.throwIfAborted();
        await operation.apply(item, { idempotencyKey: `batch:${batchId}:${line}`, cancellation });
      } catch (error) {
        const reason = ownFailure(error);
        if (reason) failures.push({ index, reason });
        else trouble ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: operation.callsAtOnce }, lane));
  if (trouble) throw trouble.error;
  return failures.sort((a, b) => a.index - b.index);
}

/** The failure reason of an item; undefined when a retry could succeed. */
function ownFailure(error: unknown): Reason | undefined {
  if (!(error instanceof ApplicationFailure && error.nonRetryable)) return undefined;
  return { type: bounded(error.type ?? 'Refused', MAX_TYPE), message: bounded(error.message, MAX_MESSAGE) };
}
