import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { startProcess, typescript } from '../../processes/processes.js';
import { startTemporaryStack } from '../../stack/stack.js';
import { waitUntil } from '../../processes/wait.js';
import type { OrderView } from '../../../src/schemas/order.js';
import { addItemUpdate, cartWorkflowId } from '../../../src/workflows/cart/contract.js';
import { ORDER_WORKFLOW_TYPE, orderStatusQuery, orderWorkflowId } from '../../../src/workflows/order/contract.js';
import type { Effort } from '../bench.js';
import { besideFirst, note, type Figure, type Measured } from '../measure/figure.js';
import { anOrder, SKU } from './orders.js';
import { inParallel } from '../measure/sample.js';

const ROUNDS = 3;
const CACHED = 300;
const WARM_UP = 30;
const CALLERS = 10;

/** The memory of a waiting workflow in a worker's cache, against a workflow that only waits. */
export async function benchMemory({ take }: Effort): Promise<Figure[]> {
  // The stack's own worker calls the payment gateway; the memory worker does everything else.
  const stack = await startTemporaryStack({ logLevel: 'warn' });
  const connection = await Connection.connect({ address: stack.addresses.temporalAddress });
  try {
    const client = new Client({ connection });
    const bytes: Measured = {};
    for (let round = 0; round < take(ROUNDS); round += 1) {
      const taskQueue = `memory-${randomUUID()}`;
      await withWorker(stack.addresses.temporalAddress, taskQueue, async (heap) => {
        for (const [name, start] of Object.entries(waitingWorkflows(client, taskQueue))) {
          await inParallel(take(WARM_UP), CALLERS, start);
          const before = await heap();
          await inParallel(take(CACHED), CALLERS, start);
          note(bytes, name, ((await heap()) - before) / take(CACHED) / 1024);
        }
      });
    }
    return besideFirst(bytes, { what: 'heap of a cached workflow', unit: 'KiB', better: 'less', of: take(CACHED) });
  } finally {
    await connection.close();
    await stack.stop();
  }
}

/** Starts one workflow of each kind, and resolves when the worker has it in its cache and it makes no more progress. */
function waitingWorkflows(client: Client, taskQueue: string): Record<string, () => Promise<unknown>> {
  return {
    'bare waiting workflow': async () => {
      const handle = await client.workflow.start('bare', { taskQueue, workflowId: randomUUID() });
      // The worker answers this query, so the workflow is in its cache.
      await handle.query('__stack_trace');
    },
    'cart with one line': async () => {
      const cartId = randomUUID();
      await client.workflow.executeUpdateWithStart(addItemUpdate, {
        args: [{ sku: SKU, quantity: 1, requestId: cartId }],
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
        const { stage }: OrderView = await handle.query(orderStatusQuery);
        return stage === 'awaiting_pickup' || undefined;
      };
      await waitUntil(isWaiting, { what: 'an order that waits for its carrier', deadlineMs: 60_000 });
    },
  };
}

/** Starts a worker process and passes a function that returns the bytes in its heap. */
async function withWorker(
  address: string,
  taskQueue: string,
  use: (heap: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const { command, args } = typescript('tools/bench/programs/memory-worker.ts');
  let ready = false;
  const readings: number[] = [];
  const worker = await startProcess({
    name: 'memory worker',
    command,
    args: ['--expose-gc', ...args],
    env: {
      ADDRESS: address,
      TASK_QUEUE: taskQueue,
      WORKFLOWS_PATH: fileURLToPath(new URL('../programs/waiting.workflows.ts', import.meta.url)),
    },
    onLine: (text) => {
      ready ||= text === 'ready';
      if (text.startsWith('heap=')) readings.push(Number(text.slice('heap='.length)));
    },
  });
  const heap = async () => {
    const from = readings.length;
    await waitUntil(() => readings.length > from + 1 || undefined, { what: 'a reading', deadlineMs: 60_000 });
    return Math.min(...readings.slice(from));
  };
  try {
    await waitUntil(() => ready || undefined, { what: 'a worker that polls', deadlineMs: 60_000 });
    await use(heap);
  } finally {
    await worker.stop();
  }
}
