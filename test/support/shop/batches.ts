import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { waitUntil } from '../processes.js';
import { operations as shopOperations, type Operations } from '../../../src/batch-operations/index.js';
import { defineOperation } from '../../../src/batch-operations/operation.js';
import type { BatchProgress } from '../../../src/schemas/batch.js';
import type { StagedItem } from '../../../src/store/batches/staging.js';
import type { Store } from '../../../src/store/index.js';
import { BATCH_TASK_QUEUE, batchWorkflowId } from '../../../src/workflows/batch/contract.js';
import type { batch } from '../../../src/workflows/batch/workflow.js';

export type BatchHandle = WorkflowHandleWithFirstExecutionRunId<typeof batch>;

/** Splits items into chunks and numbers them like the lines of an upload, starting at 1. */
export async function* splitIntoChunks(items: unknown[], itemsPerChunk: number): AsyncGenerator<StagedItem[]> {
  const numbered = items.map((item, index) => ({ line: index + 1, item }));
  for (let from = 0; from < items.length; from += itemsPerChunk) yield numbered.slice(from, from + itemsPerChunk);
}

/** Stores the items of a batch with a new id. */
export async function stageTestBatch(
  store: Store,
  {
    operation = 'restock',
    items,
    itemsPerChunk = 10,
  }: { operation?: string; items: unknown[]; itemsPerChunk?: number },
): Promise<string> {
  const batchId = randomUUID();
  await store.stageBatch({ batchId, operation, itemsPerChunk }, splitIntoChunks(items, itemsPerChunk));
  return batchId;
}

/** Starts or restarts a batch workflow directly, as the CLI does. */
export async function startBatch(client: Client, batchId: string, ...inputs: unknown[]): Promise<BatchHandle> {
  return await client.workflow.start<typeof batch>('batch', {
    workflowId: batchWorkflowId(batchId),
    taskQueue: BATCH_TASK_QUEUE,
    args: [(inputs.length > 0 ? inputs[0] : { batchId }) as { batchId: string }],
  });
}

/** Polls the progress counts until `expected` returns true. */
export async function waitForBatchProgress(
  store: Store,
  batchId: string,
  expected: (progress: BatchProgress) => boolean,
  what: string,
): Promise<BatchProgress> {
  let last: BatchProgress | undefined;
  const poll = async () => {
    last = await store.countBatchProgress(batchId);
    return last && expected(last) ? last : undefined;
  };
  return await waitUntil(poll, { description: `batch ${batchId}: ${what}`, timeoutMs: 30_000, intervalMs: 20 }).catch(
    (error: unknown) => {
      throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(last)}`);
    },
  );
}

/** Returns the outcomes of the chunks of the last attempt. */
export async function chunksOf(store: Store, batchId: string): Promise<{ outcome: string | null; reason?: string }[]> {
  const rows = await store.db
    .selectFrom('batch_chunks')
    .innerJoin('batch_attempts', 'batch_attempts.attempt_id', 'batch_chunks.attempt_id')
    .select(['outcome', 'reason', 'batch_attempts.attempt'])
    .where('batch_id', '=', batchId)
    .orderBy('attempt', 'desc')
    .orderBy('chunk_index')
    .execute();
  return rows
    .filter(({ attempt }) => attempt === rows[0]!.attempt)
    .map(({ outcome, reason }) => ({ outcome, ...(reason && { reason: reason.type }) }));
}

/** Waits until `expected` returns true for the number of pending activities. */
export async function waitForPendingActivities(
  handle: Pick<WorkflowHandle, 'describe' | 'workflowId'>,
  expected: (pending: number) => boolean,
): Promise<void> {
  const poll = async () => expected((await handle.describe()).raw.pendingActivities?.length ?? 0) || undefined;
  await waitUntil(poll, {
    description: `the expected number of pending activities of ${handle.workflowId}`,
    timeoutMs: 40_000,
    intervalMs: 20,
  });
}

/** The operations of the shop, plus two operations that a test controls. The items of those two are `{"key": …}`. */
export class TestOperations {
  /** The keys of all calls, in call order. */
  readonly calledKeys: string[] = [];
  readonly idempotencyKeys: string[] = [];
  readonly operations: Operations;
  private readonly injectedFailures = new Map<string, { kind: 'transient' | 'permanent'; times: number }>();
  private gate: Promise<void> | undefined;
  private openGate: () => void = () => undefined;

  constructor() {
    const item = z.strictObject({ key: z.string() });
    const call = defineOperation({
      kind: 'external',
      name: 'call',
      itemSchema: item,
      itemsPerChunk: 10,
      concurrentCalls: 2,
      apply: async ({ key }, { idempotencyKey, cancellation }) => {
        this.calledKeys.push(key);
        this.idempotencyKeys.push(idempotencyKey);
        await this.waitWhileBlocked(cancellation);
        this.throwInjectedFailure(key);
      },
    });
    const write = defineOperation({
      kind: 'store',
      name: 'write',
      itemSchema: item,
      itemsPerChunk: 10,
      apply: async (tx, items, { batchId }) => {
        for (const { item } of items) {
          this.throwInjectedFailure(item.key);
          await tx
            .insertInto('notifications')
            .values({ key: `${batchId}:${item.key}:${randomUUID()}`, cart_id: batchId, kind: item.key })
            .execute();
        }
        await this.waitWhileBlocked();
        return [];
      },
    });
    this.operations = new Map([
      ...shopOperations,
      ...[call, write].map((operation) => [operation.name, operation] as const),
    ]);
  }

  /** Makes the next `times` attempts of an item fail. A `permanent` failure is not retried. */
  failItem(key: string, kind: 'transient' | 'permanent', times = Infinity): void {
    this.injectedFailures.set(key, { kind, times });
  }

  clearFailures(): void {
    this.injectedFailures.clear();
  }

  /** Blocks all calls until `unblockCalls`. */
  blockCalls(): void {
    this.gate = new Promise((resolve) => (this.openGate = resolve));
  }

  /** Unblocks all waiting calls and all later calls. */
  unblockCalls(): void {
    this.gate = undefined;
    this.openGate();
  }

  private async waitWhileBlocked(cancellation?: AbortSignal): Promise<void> {
    if (!this.gate) return;
    const cancelled = new Promise<never>((_resolve, reject) => {
      cancellation?.addEventListener('abort', () => reject(cancellation.reason as Error));
    });
    await Promise.race([this.gate, cancelled]);
  }

  private throwInjectedFailure(key: string): void {
    const failure = this.injectedFailures.get(key);
    if (!failure || failure.times-- <= 0) return;
    if (failure.kind === 'transient') throw new Error(`injected failure of ${key}`);
    throw ApplicationFailure.nonRetryable(`${key} is rejected`, 'InjectedRejection');
  }
}

/** Returns the keys that the operation `write` has processed for a batch, sorted. */
export async function writtenKeys(store: Store, batchId: string): Promise<string[]> {
  return (await store.listCartNotifications(batchId)).sort();
}

export const makeItems = (count: number, prefix = 'item') =>
  Array.from({ length: count }, (_, index) => ({ key: `${prefix}-${String(index).padStart(4, '0')}` }));
