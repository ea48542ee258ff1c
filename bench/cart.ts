import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WithStartWorkflowOperation } from '@temporalio/client';
import { startProcess, typescript } from '../dev/processes.js';
import { startTemporaryStack } from '../dev/stack.js';
import { waitUntil } from '../dev/wait.js';
import type * as workflows from '../src/workflows/index.js';
import { addItemUpdate, cartWorkflowId, CART_TASK_QUEUE } from '../src/workflows/cart/contract.js';
import { line, sideBySide } from './sample.js';

const ROUNDS = 200;
const CACHED = 500;
const WARM_UP = 50;
const CALLERS = 20;

/** What a change of a cart costs: in time over HTTP, in events, in memory. */
export async function benchCart(): Promise<void> {
  const stack = await startTemporaryStack();
  const { apiUrl, temporalAddress } = stack.addresses;
  const connection = await Connection.connect({ address: temporalAddress });
  const client = new Client({ connection });
  try {
    console.log('cart: adding an item, one caller');
    const item = { sku: 'FILTER-PAPER-100', quantity: 1 };
    const carts = { http: randomUUID(), client: randomUUID(), existing: randomUUID() };
    const viaHttp = (cartId: string) =>
      fetch(`${apiUrl}/v1/carts/${cartId}/items`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(item),
      }).then(async (response) => {
        if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
        return await response.text();
      });
    const viaClient = (cartId: string) =>
      client.workflow.executeUpdateWithStart(addItemUpdate, {
        args: [{ ...item, requestId: randomUUID() }],
        startWorkflowOperation: new WithStartWorkflowOperation<typeof workflows.cart>('cart', {
          workflowId: cartWorkflowId(cartId),
          taskQueue: CART_TASK_QUEUE,
          args: [{ cartId }],
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      });
    const contenders = {
      client: () => viaClient(carts.client),
      http: () => viaHttp(carts.http),
      existing: () =>
        client.workflow
          .getHandle(cartWorkflowId(carts.client))
          .executeUpdate(addItemUpdate, { args: [{ ...item, requestId: randomUUID() }] }),
    };
    await sideBySide(20, contenders);
    const before = await eventsOf(client, carts.http);
    const samples = await sideBySide(ROUNDS, contenders);
    const after = await eventsOf(client, carts.http);
    console.log(line('bare client, update-with-start (base)', samples.client, samples.client));
    console.log(line('bare client, update', samples.existing, samples.client));
    console.log(line('HTTP', samples.http, samples.client));
    console.log(`  events a change: ${((after - before) / ROUNDS).toFixed(2)}\n`);

    console.log(`cart: heap of a worker for each cached workflow, ${CACHED} of them`);
    const bare = await memoryPerWorkflow(client, temporalAddress, 'bare', (id) => `bare:${id}`);
    const cart = await memoryPerWorkflow(client, temporalAddress, 'cart', (cartId) => cartWorkflowId(cartId));
    console.log(`  bare waiting workflow (base)   ${(bare / 1024).toFixed(0)} KiB`);
    console.log(
      `  cart with one line             ${(cart / 1024).toFixed(0)} KiB   ratio ${(cart / bare).toFixed(2)}\n`,
    );
  } finally {
    await connection.close();
    await stack.stop();
  }
}

async function eventsOf(client: Client, cartId: string): Promise<number> {
  const { historyLength } = await client.workflow.getHandle(cartWorkflowId(cartId)).describe();
  return historyLength;
}

/** Starts workflows of a kind on a worker process of their own; answers how much its heap grew for each, in bytes. */
async function memoryPerWorkflow(
  client: Client,
  address: string,
  type: 'bare' | 'cart',
  workflowId: (id: string) => string,
): Promise<number> {
  const taskQueue = `memory-${type}-${randomUUID()}`;
  const { command, args } = typescript('bench/memory-worker.ts');
  let ready = false;
  const readings: number[] = [];
  const worker = await startProcess({
    name: 'memory worker',
    command,
    args: ['--expose-gc', ...args],
    env: {
      ADDRESS: address,
      TASK_QUEUE: taskQueue,
      WORKFLOWS_PATH: fileURLToPath(new URL('./waiting.workflows.ts', import.meta.url)),
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
  const startOne = async () => {
    const id = randomUUID();
    const options = { taskQueue, workflowId: workflowId(id) };
    if (type === 'bare') {
      const handle = await client.workflow.start('bare', options);
      // Answered by the worker, so from here on it has the workflow in its cache.
      return await handle.query('__stack_trace');
    }
    return await client.workflow.executeUpdateWithStart(addItemUpdate, {
      args: [{ sku: 'FILTER-PAPER-100', quantity: 1, requestId: id }],
      startWorkflowOperation: new WithStartWorkflowOperation('cart', {
        ...options,
        args: [{ cartId: id }],
        workflowIdConflictPolicy: 'FAIL',
      }),
    });
  };
  const start = async (count: number) => {
    let left = count;
    await Promise.all(
      Array.from({ length: CALLERS }, async () => {
        while (left-- > 0) await startOne();
      }),
    );
  };
  try {
    await waitUntil(() => ready || undefined, { what: 'a worker that polls', deadlineMs: 60_000 });
    await start(WARM_UP);
    const before = await heap();
    await start(CACHED);
    return ((await heap()) - before) / CACHED;
  } finally {
    await worker.stop();
  }
}
