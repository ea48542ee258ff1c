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

/** Items of an operation that calls outside are noted as done in groups of this many. */
const ITEMS_PER_NOTE = 100;

/** Of the reason of an item's failure, in UTF-16 code units; the row of the task keeps the reasons of all its items. */
const MAX_TYPE = 100;
const MAX_MESSAGE = 500;

/** A task, and what it has to know of its batch. */
export interface BatchTask extends TaskKey {
  batchId: string;
  number: number;
  operation: string;
}

/** An execution of a batch. */
export interface BatchRun {
  workflowId: string;
  /** Of its first run: a reset keeps it. */
  firstRunId: string;
  startedAt: string;
}

/** What a batch knows of itself when it has its progress counted. */
export interface ProgressReport {
  batchId: string;
  roundId: number;
  status: BatchStatus;
  /** When the batch knew this. */
  at: string;
}

export function createBatchActivities({ store, operations }: { store: Store; operations: Operations }) {
  function operationOf(name: string) {
    const operation = operations.get(name);
    if (operation) return operation;
    // Not for good: a worker that knows it may be about to be deployed.
    throw ApplicationFailure.create({ type: 'UnknownOperation', message: `this worker has no operation ${name}` });
  }

  return {
    /**
     * Parses what a batch was started with, and finds out what this run has to do. Its workflow id must be the batch's,
     * so that there is one run of it at a time.
     *
     * @throws `InvalidInput`, `BatchNotFound` when nothing was uploaded under this id, `Superseded` when a later run has
     * begun.
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

    /** Does the items of a task, each once. A task that is done already, or given up, is left alone. */
    async runBatchTask({ operation: name, batchId, number, ...key }: BatchTask): Promise<void> {
      const operation = operationOf(name);
      if (operation.kind === 'outside') return await runOutside(operation, batchId, key);
      await whileBeating(() =>
        store.applyTask(key, (tx, items) => operation.apply(tx, typed(items), { batchId, number })),
      );
    },

    /** Counts what is left of these tasks as failed. */
    async giveUpBatchTasks({ roundId, first, count, reason }: GiveUp): Promise<void> {
      await whileBeating(() => store.giveUpTasks(roundId, { first, count }, reason));
    },

    /** Counts the progress of a batch, and records it for lists. @throws `BatchNotFound`. */
    async countProgress(report: ProgressReport): Promise<BatchTally> {
      return await whileBeating(() => record(report, false));
    },

    /** The same at the end of a batch; `completed` stands for its outcome with failures, too. @throws `BatchNotFound`. */
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
   * Calls outside for each item that is not done yet. The store knows how far it came, so the next attempt goes on from
   * there; the items since then are called for again, with the same keys.
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

/** The store holds items as their schema has made them. */
const typed = (items: StagedItem[]) => items as StagedItem<Record<string, unknown>>[];

/** Calls for each item, some at once. @throws when a call fails in a way that may pass, once no call is open any more. */
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

/** What a failure says of the item itself; undefined when another try may go better. */
function ownFailure(error: unknown): Reason | undefined {
  if (!(error instanceof ApplicationFailure && error.nonRetryable)) return undefined;
  return { type: bounded(error.type ?? 'Refused', MAX_TYPE), message: bounded(error.message, MAX_MESSAGE) };
}
