import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '@temporalio/client';
import { priceUpdate } from '../../../src/batch-operations/price-update.js';
import type { OrderLine } from '../../../src/schemas/order.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { openConnection } from '../../../src/temporal/connections.js';
import { percentile } from '../../measurement/statistics.js';
import { startTemporaryStack } from '../../stack/temporary-stack.js';
import type { SampleScale } from '../bench.js';
import { uploadBatch } from '../load/batches.js';
import { anOrder, completeOrderByHttp } from '../load/orders.js';
import { addValue, compareWithFirst, type Comparison, type ValuesByVariant } from '../measure/comparison.js';

const ROUNDS = 3;

/** The products of the orders. */
const ORDER_SKUS = skusWithPrefix('ORDER');
const OTHER_SKUS = skusWithPrefix('OTHER');
const LINES_PER_ORDER = 3;

/** More items than the worker applies while the orders are measured. */
const BATCH_ITEMS = 1_000_000;

/** The products whose prices a batch changes while orders are measured. */
const BATCH_SKUS = { alone: undefined, 'beside a batch of other products': OTHER_SKUS, 'beside a batch': ORDER_SKUS };

/** What is measured: a call, how often it is made, and how many calls a variant makes. */
interface MeasuredCall {
  call: (lines: OrderLine[]) => Promise<unknown>;
  perSecond: number;
  count: number;
}

/**
 * Measures whole orders, and the statement that reserves their stock, alone and while a batch changes prices. A batch of
 * other products shares no locks with the orders, so it shows how much of the difference is processor time.
 */
export async function benchOrderLocks({ scale }: SampleScale): Promise<Comparison[]> {
  const stack = await startTemporaryStack({ carrierPickupSeconds: 0, carrierDeliverySeconds: 0, logLevel: 'warn' });
  const { apiUrl, ownerDatabaseUrl, temporalAddress } = stack.addresses;
  const store = openStore({ databaseUrl: ownerDatabaseUrl, maxConnections: 20, onIdleError: () => undefined });
  const connection = await openConnection({ TEMPORAL_ADDRESS: temporalAddress });
  const client = new Client({ connection });
  const calls: Record<string, MeasuredCall> = {
    order: {
      call: (lines) => completeOrderByHttp(apiUrl, client, { ...anOrder(), lines }),
      perSecond: 5,
      count: scale(60),
    },
    'reserve stock': { call: (lines) => reserveStock(store, lines), perSecond: 50, count: scale(500) },
  };
  try {
    await store.addProducts(
      [...ORDER_SKUS, ...OTHER_SKUS].map((sku) => ({
        sku,
        name: 'A thing',
        price: { value: 100, currency: 'EUR' },
        available: 1_000_000,
      })),
    );
    for (const measured of Object.values(calls)) await measureCalls(measured);
    const results: Comparison[] = [];
    for (const [what, measured] of Object.entries(calls)) {
      const percentiles = await comparePercentiles(apiUrl, measured, scale(ROUNDS));
      for (const [name, values] of Object.entries(percentiles)) {
        const samples = { unit: 'ms', better: 'less', sampleCount: measured.count } as const;
        results.push(...compareWithFirst(values, { what: `${what}, ${name}`, ...samples }));
      }
    }
    return results;
  } finally {
    await connection.close();
    await store.close();
    await stack.stop();
  }
}

async function comparePercentiles(
  apiUrl: string,
  measured: MeasuredCall,
  rounds: number,
): Promise<Record<'p50' | 'p99' | 'slowest', ValuesByVariant>> {
  const found = { p50: {}, p99: {}, slowest: {} };
  for (let round = 0; round < rounds; round += 1) {
    for (const [variant, skus] of Object.entries(BATCH_SKUS)) {
      // The upload ends before the measurement, because it needs the processor of this process.
      const batch = skus && (await startPriceUpdate(apiUrl, { skus, price: 200 + round }));
      const samples = await measureCalls(measured);
      await batch?.cancel();
      addValue(found.p50, variant, percentile(samples, 0.5));
      addValue(found.p99, variant, percentile(samples, 0.99));
      addValue(found.slowest, variant, Math.max(...samples));
    }
  }
  return found;
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

/** Makes the calls at their fixed rate. @returns the milliseconds of each. @throws when a call fails. */
async function measureCalls({ call, perSecond, count }: MeasuredCall): Promise<number[]> {
  const started = performance.now();
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      await sleep(Math.max(0, started + (index * 1000) / perSecond - performance.now()));
      const lines = Array.from({ length: LINES_PER_ORDER }, (_, line) => ({
        sku: ORDER_SKUS[(index * 31 + line * 1009) % ORDER_SKUS.length]!,
        quantity: 1,
      }));
      const sent = performance.now();
      await call(lines);
      return performance.now() - sent;
    }),
  );
}

/** Reserves the stock of a new order. @throws when the order is not reserved. */
async function reserveStock(store: Store, lines: OrderLine[]): Promise<void> {
  const orderId = randomUUID();
  const order = { orderId, firstRunId: orderId, customerId: 'bench', contentHash: '', placedAt: new Date() };
  const { status } = await store.reserveStock(order, lines);
  if (status !== 'reserved') throw new Error(`order ${orderId} must be reserved, but is ${status}`);
}

function skusWithPrefix(prefix: string): string[] {
  return Array.from({ length: 5_000 }, (_, index) => `${prefix}-${String(index).padStart(4, '0')}`);
}
