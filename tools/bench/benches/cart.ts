import { randomUUID } from 'node:crypto';
import { Client, WithStartWorkflowOperation } from '@temporalio/client';
import { openConnection } from '../../../src/temporal/connections.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type * as workflows from '../../../src/workflows/index.js';
import { addItemUpdate, cartWorkflowId, CART_TASK_QUEUE } from '../../../src/workflows/cart/contract.js';
import type { SampleScale } from '../bench.js';
import { compareWithFirst, type Comparison } from '../measure/comparison.js';
import { BENCH_SKU, addBenchProduct } from '../load/orders.js';
import { measureLatencies, runInTurn } from '../measure/sampling.js';

const ROUNDS = 5;
const CALLS_PER_ROUND = 60;
const WARM_UP = 20;

/** Measures the latency of changing and opening a cart over HTTP, against update-with-start with the SDK client. */
export async function benchCart({ scale }: SampleScale): Promise<Comparison[]> {
  const stack = await startTemporaryStack({ logLevel: 'warn' });
  const { apiUrl, ownerDatabaseUrl, temporalAddress } = stack.addresses;
  const connection = await openConnection({ TEMPORAL_ADDRESS: temporalAddress });
  try {
    await addBenchProduct(ownerDatabaseUrl);
    const client = new Client({ connection });
    const viaClient = (cartId: string) =>
      client.workflow.executeUpdateWithStart(addItemUpdate, {
        args: [{ sku: BENCH_SKU, quantity: 1, idempotencyKey: randomUUID() }],
        startWorkflowOperation: new WithStartWorkflowOperation<typeof workflows.cart>('cart', {
          workflowId: cartWorkflowId(cartId),
          taskQueue: CART_TASK_QUEUE,
          args: [{ cartId }],
          workflowIdConflictPolicy: 'USE_EXISTING',
        }),
      });
    const viaHttp = async (cartId: string) => {
      const response = await fetch(`${apiUrl}/v1/carts/${cartId}/items`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ sku: BENCH_SKU, quantity: 1 }),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`${response.status} ${text}`);
    };
    const carts = { client: randomUUID(), http: randomUUID() };
    const handle = client.workflow.getHandle(cartWorkflowId(carts.client));
    const variants = {
      'update-with-start with the SDK client': () => viaClient(carts.client),
      'update with the SDK client': () =>
        handle.executeUpdate(addItemUpdate, { args: [{ sku: BENCH_SKU, quantity: 1, idempotencyKey: randomUUID() }] }),
      'over HTTP': () => viaHttp(carts.http),
      'update-with-start that opens a cart': () => viaClient(randomUUID()),
      'over HTTP, opening a cart': () => viaHttp(randomUUID()),
    };
    await runInTurn(scale(WARM_UP), variants);
    const { p50, max } = await measureLatencies({ rounds: scale(ROUNDS), calls: scale(CALLS_PER_ROUND) }, variants);
    const calls = { unit: 'ms', better: 'less', sampleCount: scale(CALLS_PER_ROUND) } as const;
    return [
      ...compareWithFirst(p50, { what: 'p50', ...calls }),
      ...compareWithFirst(max, { what: `slowest of ${scale(CALLS_PER_ROUND)}`, ...calls }),
    ];
  } finally {
    await connection.close();
    await stack.stop();
  }
}
