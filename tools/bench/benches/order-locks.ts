import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { priceUpdate } from '../../../src/batch-operations/price-update.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { percentile } from '../../measurement/statistics.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type { SampleScale } from '../bench.js';
import { uploadBatch } from '../load/batches.js';
import { addValue, compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';

const ROUNDS = 3;
const ORDERS = 500;
const ORDERS_PER_SECOND = 50;

/** The products of the orders. */
const ORDER_SKUS = skusWithPrefix('ORDER');
const OTHER_SKUS = skusWithPrefix('OTHER');
const LINES_PER_ORDER = 3;

/** More items than the worker applies while the orders are measured. */
const BATCH_ITEMS = 1_000_000;

/** The products whose prices a batch changes while orders are measured. */
const BATCH_SKUS = { alone: undefined, 'beside a batch of other products': OTHER_SKUS, 'beside a batch': ORDER_SKUS };

/**
 * Measures the statement that reserves the stock of an order, alone and while a batch changes prices. A batch of other
 * products shares no locks with the orders, so it shows how much of the difference is processor time. The worker of the
 * batches is a process of its own.
 */
export async function benchOrderLocks({ scale }: SampleScale): Promise<Comparison[]> {
  const [p50, p99, worst]: [ValuesByVariant, ValuesByVariant, ValuesByVariant] = [{}, {}, {}];
  const orders = scale(ORDERS);
  const stack = await startTemporaryStack({ logLevel: 'warn' });
  const store = openStore({
    databaseUrl: stack.addresses.ownerDatabaseUrl,
    maxConnections: 20,
    onIdleError: () => undefined,
  });
  try {
    await store.addProducts(
      [...ORDER_SKUS, ...OTHER_SKUS].map((sku) => ({
        sku,
        name: 'A thing',
        price: { value: 100, currency: 'EUR' },
        available: 1_000_000,
      })),
    );
    await reserveOrders(store, orders);
    for (let round = 0; round < scale(ROUNDS); round += 1) {
      for (const [variant, skus] of Object.entries(BATCH_SKUS)) {
        // The upload ends before the measurement, because it needs the processor of this process.
        const batch = skus && (await startPriceUpdate(stack.addresses.apiUrl, { skus, price: 200 + round }));
        const samples = await reserveOrders(store, orders);
        await batch?.cancel();
        addValue(p50, variant, percentile(samples, 0.5));
        addValue(p99, variant, percentile(samples, 0.99));
        addValue(worst, variant, Math.max(...samples));
      }
    }
  } finally {
    await store.close();
    await stack.stop();
  }
  return Object.entries({ p50, p99, slowest: worst }).flatMap(([name, measured]) =>
    compareWithFirst(measured, { what: `reserve stock, ${name}`, unit: 'ms', better: 'less', sampleCount: orders }),
  );
}

/** Uploads a batch, which starts it. */
async function startPriceUpdate(
  apiUrl: string,
  { skus, price }: { skus: string[]; price: number },
): Promise<{ cancel: () => Promise<void> }> {
  const lines = skus.map((sku) => `${JSON.stringify({ sku, price: { value: price, currency: 'EUR' } })}\n`).join('');
  const batchId = await uploadBatch({
    apiUrl,
    operation: priceUpdate.name,
    lines: lines.repeat(BATCH_ITEMS / skus.length),
  });
  return {
    /** Cancels the batch and waits for its end. @throws when the batch had already ended. */
    async cancel() {
      const cancelled = await fetch(`${apiUrl}/v1/batches/${batchId}/cancel`, { method: 'POST' });
      if (cancelled.status !== 202) throw new Error(`${cancelled.status} ${await cancelled.text()}`);
      for (;;) {
        const response = await fetch(`${apiUrl}/v1/batches/${batchId}`);
        const { status } = (await response.json()) as { status?: unknown };
        // An overloaded API returns a problem with a numeric status.
        if (typeof status === 'string' && status !== 'running') return;
        await sleep(100);
      }
    },
  };
}

/** Reserves the stock of orders at a fixed rate. @returns the milliseconds of each. @throws when an order fails. */
async function reserveOrders(store: Store, count: number): Promise<number[]> {
  const started = performance.now();
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      await sleep(Math.max(0, started + (index * 1000) / ORDERS_PER_SECOND - performance.now()));
      const lines = Array.from({ length: LINES_PER_ORDER }, (_, line) => ({
        sku: ORDER_SKUS[(index * 31 + line * 1009) % ORDER_SKUS.length]!,
        quantity: 1,
      }));
      const orderId = randomUUID();
      const order = { orderId, firstRunId: orderId, customerId: 'bench', contentHash: '', placedAt: new Date() };
      const sent = performance.now();
      const { status } = await store.reserveStock(order, lines);
      if (status !== 'reserved') throw new Error(`order ${orderId} must be reserved, but is ${status}`);
      return performance.now() - sent;
    }),
  );
}

function skusWithPrefix(prefix: string): string[] {
  return Array.from({ length: 5_000 }, (_, index) => `${prefix}-${String(index).padStart(4, '0')}`);
}
