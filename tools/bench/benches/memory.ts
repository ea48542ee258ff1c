import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, WithStartWorkflowOperation } from '@temporalio/client';
import { openConnection } from '../../../src/temporal/connections.js';
import { startProcess, typescriptCommand } from '../../processes/processes.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import { waitUntilReady } from '../../processes/readiness.js';
import { waitUntil } from '../../processes/wait.js';
import type { OrderView } from '../../../src/schemas/order.js';
import { addItemUpdate, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { ORDER_WORKFLOW_TYPE, orderQuery, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, addValue, type Comparison, type ValuesByVariant } from '../measure/comparison.js';
import { anOrder, BENCH_SKU } from '../load/orders.js';
import { collectConcurrently } from '../measure/sampling.js';

const ROUNDS = 3;
const CACHED_WORKFLOWS = 300;
const WARM_UP = 30;
const CONCURRENCY = 10;

/**
 * Measures the memory of a waiting workflow in a worker's cache, against a workflow that only waits. Measures the same
 * workflows also without shared modules.
 */
export async function benchMemory({ scale }: SampleScale): Promise<Comparison[]> {
  const stack = await startTemporaryStack({ logLevel: 'warn' });
  const connection = await openConnection({ TEMPORAL_ADDRESS: stack.addresses.temporalAddress });
  try {
    // The memory worker does the work of the stack's worker.
    await stack.processes.get('worker')!.stop();
    const client = new Client({ connection });
    const { temporalAddress: address } = stack.addresses;
    const shared: ValuesByVariant = {};
    const separate: ValuesByVariant = {};
    const measure = async (sharesModules: boolean, kib: ValuesByVariant) => {
      const taskQueue = `memory-${randomUUID()}`;
      await withMemoryWorker({ address, taskQueue, sharesModules }, async (heap) => {
        for (const [name, start] of Object.entries(waitingWorkflowStarters(client, taskQueue))) {
          await collectConcurrently(scale(WARM_UP), CONCURRENCY, start);
          const before = await heap();
          await collectConcurrently(scale(CACHED_WORKFLOWS), CONCURRENCY, start);
          addValue(kib, name, ((await heap()) - before) / scale(CACHED_WORKFLOWS) / 1024);
        }
      });
    };
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      await measure(true, shared);
      await measure(false, separate);
    }
    const what = 'heap of a cached workflow';
    const rest = { unit: 'KiB', better: 'less', sampleCount: scale(CACHED_WORKFLOWS) } as const;
    return [
      ...compareWithFirst(shared, { what, ...rest }),
      ...Object.entries(shared).flatMap(([name, values]) =>
        compareWithFirst(
          { 'each workflow with its own modules': separate[name]!, 'shared modules': values },
          { what: `${what}, ${name}`, ...rest },
        ),
      ),
    ];
  } finally {
    await connection.close();
    await stack.stop();
  }
}

/**
 * Returns one function per kind of workflow. Each function starts a workflow and resolves when the workflow waits in
 * the worker's cache.
 */
function waitingWorkflowStarters(client: Client, taskQueue: string): Record<string, () => Promise<unknown>> {
  return {
    'workflow that only waits': async () => {
      const handle = await client.workflow.start('waitOnly', { taskQueue, workflowId: randomUUID() });
      // After the response to this query, the workflow is in the worker's cache.
      await handle.query('__stack_trace');
    },
    'cart with one line': async () => {
      const cartId = randomUUID();
      await client.workflow.executeUpdateWithStart(addItemUpdate, {
        args: [{ sku: BENCH_SKU, quantity: 1, idempotencyKey: cartId }],
        startWorkflowOperation: new WithStartWorkflowOperation('cart', {
          taskQueue,
          workflowId: cartWorkflowId(cartId),
          args: [{ cartId }],
          workflowIdConflictPolicy: 'FAIL',
        }),
      });
    },
    'order that waits for its carrier': async () => {
      const order = anOrder();
      const handle = await client.workflow.start(ORDER_WORKFLOW_TYPE, {
        taskQueue,
        workflowId: orderWorkflowId(order.orderId),
        args: [order],
      });
      const isWaiting = async () => {
        const { stage }: OrderView = await handle.query(orderQuery);
        return stage === 'awaiting_pickup' || undefined;
      };
      await waitUntil(isWaiting, { description: 'an order that waits for its carrier', timeoutMs: 60_000 });
    },
  };
}

/** Runs `use` with a worker process. `heap` returns the bytes in the heap of this process. */
async function withMemoryWorker(
  { address, taskQueue, sharesModules }: { address: string; taskQueue: string; sharesModules: boolean },
  use: (heap: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const { command, args } = typescriptCommand('tools/bench/programs/memory-worker.ts');
  let isReady = false;
  const readings: number[] = [];
  const worker = await startProcess({
    name: 'memory worker',
    command,
    args: ['--expose-gc', ...args],
    env: {
      ADDRESS: address,
      TASK_QUEUE: taskQueue,
      SHARE_MODULES: String(sharesModules),
      WORKFLOWS_PATH: fileURLToPath(new URL('../programs/waiting.workflows.ts', import.meta.url)),
    },
    onLine: (text) => {
      isReady ||= text === 'ready';
      if (text.startsWith('heap=')) readings.push(Number(text.slice('heap='.length)));
    },
  });
  const heap = async () => {
    const from = readings.length;
    await waitUntil(() => readings.length > from + 1 || undefined, { description: 'a reading', timeoutMs: 60_000 });
    return Math.min(...readings.slice(from));
  };
  try {
    await waitUntilReady(worker, () => isReady || undefined, {
      description: 'readiness of the memory worker',
      timeoutMs: 60_000,
    });
    await use(heap);
  } finally {
    await worker.stop();
  }
}
