import { NativeConnection, Worker } from '@temporalio/worker';
import { z } from 'zod';
import type { OrderKey, ReservedOrder } from '../../../src/activities/orders.js';
import type { OrderInput } from '../../../src/schemas/order.js';
import { PAYMENT_TASK_QUEUE } from '../../../src/workflows/order/contract.js';

const READING_INTERVAL_MS = 1_000;

/**
 * A worker process that keeps workflows in its cache. Every second, collects garbage and prints the bytes in its heap.
 * Requires `--expose-gc`. With `SHARE_MODULES=true`, the workflows share their modules, as in the bundle of the shop.
 */
const { ADDRESS, TASK_QUEUE, WORKFLOWS_PATH, SHARE_MODULES } = z
  .object({
    ADDRESS: z.string(),
    TASK_QUEUE: z.string(),
    WORKFLOWS_PATH: z.string(),
    SHARE_MODULES: z.enum(['true', 'false']),
  })
  .parse(process.env);

const price = { value: 100, currency: 'EUR' };
const connection = await NativeConnection.connect({ address: ADDRESS });
const worker = await Worker.create({
  connection,
  taskQueue: TASK_QUEUE,
  workflowsPath: WORKFLOWS_PATH,
  maxCachedWorkflows: 10_000,
  // `debugMode` runs workflows in this thread, so that the heap of this thread contains them.
  debugMode: true,
  bundlerOptions: { preloadModules: SHARE_MODULES === 'true' ? [WORKFLOWS_PATH] : [] },
  activities: {
    openCart: async () => undefined,
    checkItem: async () => undefined,
    reserveStock: async ({ input }: OrderKey): Promise<ReservedOrder> => {
      const { customerId, lines } = input as OrderInput;
      const priced = lines.map((line) => ({ ...line, name: 'A thing', unitPrice: price }));
      return { customerId, lines: priced, total: price };
    },
    requestShipment: async () => ({ shipmentId: 'shipment' }),
  },
});
// The activity of the shop would reject the charge, because the order has no stock in the database.
const payments = await Worker.create({
  connection,
  taskQueue: PAYMENT_TASK_QUEUE,
  activities: { chargePayment: async () => ({ chargeId: 'charge' }) },
});
process.on('SIGTERM', () => {
  worker.shutdown();
  payments.shutdown();
});
setInterval(() => {
  globalThis.gc?.();
  console.log(`heap=${process.memoryUsage().heapUsed}`);
}, READING_INTERVAL_MS).unref();
const running = Promise.all([worker.run(), payments.run()]);
console.log('ready');
await running;
await connection.close();
