import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { waitUntil } from '../../tools/processes/wait.js';
import { operations as shopOperations, type Operations } from '../../src/batch-operations/index.js';
import { defineOperation } from '../../src/batch-operations/operation.js';
import type { BatchTally } from '../../src/schemas/batch.js';
import type { StagedItem } from '../../src/store/batches.js';
import type { Store } from '../../src/store/index.js';
import { BATCH_TASK_QUEUE, batchWorkflowId } from '../../src/workflows/batch/contract.js';
import type { batch } from '../../src/workflows/batch/workflow.js';

export type BatchHandle = WorkflowHandleWithFirstExecutionRunId<typeof batch>;

/** Items as lines of an upload, in pages, starting at line 1. */
export async function* pagesOf(items: unknown[], itemsPerTask: number): AsyncGenerator<StagedItem[]> {
  const numbered = items.map((item, index) => ({ line: index + 1, item }));
  for (let from = 0; from < items.length; from += itemsPerTask) yield numbered.slice(from, from + itemsPerTask);
}

/** Stores a batch with a new id. */
export async function stage(
  store: Store,
  { operation = 'restock', items, itemsPerTask = 10 }: { operation?: string; items: unknown[]; itemsPerTask?: number },
): Promise<string> {
  const batchId = randomUUID();
  await store.stageBatch({ batchId, operation, itemsPerTask }, pagesOf(items, itemsPerTask));
  return batchId;
}

/** Starts a batch as the CLI would, or restarts it after it has ended. */
export async function run(client: Client, batchId: string, ...inputs: unknown[]): Promise<BatchHandle> {
  return await client.workflow.start<typeof batch>('batch', {
    workflowId: batchWorkflowId(batchId),
    taskQueue: BATCH_TASK_QUEUE,
    args: [(inputs.length > 0 ? inputs[0] : { batchId }) as { batchId: string }],
  });
}

/** Polls the counts until they are as wanted. */
export async function tallyOnce(
  store: Store,
  batchId: string,
  wanted: (tally: BatchTally) => boolean,
  what: string,
): Promise<BatchTally> {
  let seen: BatchTally | undefined;
  const look = async () => {
    seen = await store.tallyBatch(batchId);
    return seen && wanted(seen) ? seen : undefined;
  };
  return await waitUntil(look, { what: `batch ${batchId}: ${what}`, deadlineMs: 30_000, everyMs: 20 }).catch(
    (error: unknown) => {
      throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(seen)}`);
    },
  );
}

/** The chunks of the last attempt with their outcomes. */
export async function tasksOf(store: Store, batchId: string): Promise<{ outcome: string | null; reason?: string }[]> {
  const rows = await store.db
    .selectFrom('batch_tasks')
    .innerJoin('batch_rounds', 'batch_rounds.round_id', 'batch_tasks.round_id')
    .select(['outcome', 'reason', 'batch_rounds.round'])
    .where('batch_id', '=', batchId)
    .orderBy('round', 'desc')
    .orderBy('task')
    .execute();
  return rows
    .filter(({ round }) => round === rows[0]!.round)
    .map(({ outcome, reason }) => ({ outcome, ...(reason && { reason: reason.type }) }));
}

/** Waits until the number of the workflow's open activities is as wanted. */
export async function pendingOnce(
  handle: Pick<WorkflowHandle, 'describe' | 'workflowId'>,
  wanted: (pending: number) => boolean,
): Promise<void> {
  const look = async () => wanted((await handle.describe()).raw.pendingActivities?.length ?? 0) || undefined;
  await waitUntil(look, { what: `open activities of ${handle.workflowId}`, deadlineMs: 40_000, everyMs: 20 });
}

/** The shop's operations plus two that a test controls. Their items are `{"key": …}`. */
export class TestOperations {
  /** Keys in the order of the calls. */
  readonly called: string[] = [];
  readonly idempotencyKeys: string[] = [];
  readonly operations: Operations;
  private readonly troubles = new Map<string, { kind: 'passing' | 'final'; times: number }>();
  private gate: Promise<void> | undefined;
  private open: () => void = () => undefined;

  constructor() {
    const item = z.strictObject({ key: z.string() });
    const call = defineOperation({
      kind: 'outside',
      name: 'call',
      item,
      itemsPerTask: 10,
      callsAtOnce: 2,
      apply: async ({ key }, { idempotencyKey, cancellation }) => {
        this.called.push(key);
        this.idempotencyKeys.push(idempotencyKey);
        await this.passed(cancellation);
        this.fail(key);
      },
    });
    const write = defineOperation({
      kind: 'store',
      name: 'write',
      item,
      itemsPerTask: 10,
      apply: async (tx, items, { batchId }) => {
        for (const { item } of items) {
          this.fail(item.key);
          await tx
            .insertInto('notifications')
            .values({ key: `${batchId}:${item.key}:${randomUUID()}`, cart_id: batchId, kind: item.key })
            .execute();
        }
        await this.passed();
        return [];
      },
    });
    this.operations = new Map([
      ...shopOperations,
      ...[call, write].map((operation) => [operation.name, operation] as const),
    ]);
  }

  /** Makes an item fail from now on, the given number of times. `final` fails in a way that is not retried. */
  trouble(key: string, kind: 'passing' | 'final', times = Infinity): void {
    this.troubles.set(key, { kind, times });
  }

  mend(): void {
    this.troubles.clear();
  }

  /** Makes calls wait from now on. */
  close(): void {
    this.gate = new Promise((resolve) => (this.open = resolve));
  }

  /** Lets all waiting and later calls through. */
  letThrough(): void {
    this.gate = undefined;
    this.open();
  }

  private async passed(cancellation?: AbortSignal): Promise<void> {
    if (!this.gate) return;
    const cancelled = new Promise<never>((_resolve, reject) => {
      cancellation?.addEventListener('abort', () => reject(cancellation.reason as Error));
    });
    await Promise.race([this.gate, cancelled]);
  }

  private fail(key: string): void {
    const trouble = this.troubles.get(key);
    if (!trouble || trouble.times-- <= 0) return;
    if (trouble.kind === 'passing') throw new Error(`no luck with ${key}`);
    throw ApplicationFailure.nonRetryable(`${key} is refused`, 'ToldToRefuse');
  }
}

/** What the operation `write` has written for a batch, sorted. */
export async function writtenBy(store: Store, batchId: string): Promise<string[]> {
  return (await store.notificationsOf(batchId)).sort();
}

export const keys = (count: number, prefix = 'item') =>
  Array.from({ length: count }, (_, index) => ({ key: `${prefix}-${String(index).padStart(4, '0')}` }));
