import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import { inject } from 'vitest';
import type { Operations } from '../../src/batch-operations/index.js';
import type { OrderInput } from '../../src/schemas/order.js';
import type { Product } from '../../src/schemas/product.js';
import { openStore, type Store } from '../../src/store/index.js';
import { TASK_QUEUES, type TaskQueue } from '../../src/temporal/task-queues.js';
import { activitiesOf } from './activities.js';
import { createWorkers } from './create-workers.js';
import { createDatabase } from './database.js';
import { startOutsideWorld, type OutsideWorld } from './outside-world.js';
import './quiet-runtime.js';
import { replayOpen } from './replays.js';
import './watched-workers.js';

/** What every server for tests offers. */
export interface TemporalServer {
  client: Client;
  nativeConnection: NativeConnection;
  /** On these there is another worker each; one connection can have only one on a task queue. */
  moreConnections?: readonly NativeConnection[];
  namespace: string;
  close: () => Promise<void>;
}

/** The shop as one test file owns it: a database, the outside world, and a worker in this process. */
export interface Shop {
  client: Client;
  store: Store;
  /** The store of those who may do everything with it. */
  owner: Store;
  /** As worker and API have it. */
  databaseUrl: string;
  ownerDatabaseUrl: string;
  outside: OutsideWorld;
  close: () => Promise<void>;
}

interface ShopOptions {
  /** False leaves the worker to the test. */
  withWorker?: boolean;
  /** What the worker is for; a worker for everything takes four times as long to start. */
  queues?: readonly TaskQueue[];
  /** What batches can do here, if not what the shop can. */
  operations?: Operations;
}

/** Opens a shop on a server. */
export async function openShop(
  server: TemporalServer,
  { withWorker = true, queues = TASK_QUEUES, operations }: ShopOptions = {},
): Promise<Shop> {
  const [database, outside] = await Promise.all([createDatabase(), startOutsideWorld()]);
  const store = openStore({ databaseUrl: database.appUrl, maxConnections: 10, onIdleError: () => undefined });
  const owner = openStore({ databaseUrl: database.url, maxConnections: 1, onIdleError: () => undefined });
  const connections = [server.nativeConnection, ...(server.moreConnections ?? [])];
  const workers = await Promise.all(
    (withWorker ? connections : []).map((connection) =>
      createWorkers({
        connection,
        namespace: server.namespace,
        workflowBundle: { codePath: inject('workflowBundle') },
        queues,
        batchTasksAtOnce: 4,
        activities: activitiesOf({ store, outside, ...(operations && { operations }) }),
      }),
    ),
  );
  const running = workers.map((worker) => worker.run());
  return {
    client: server.client,
    // The application never adds products.
    store: { ...store, addProducts: owner.addProducts },
    owner,
    databaseUrl: database.appUrl,
    ownerDatabaseUrl: database.url,
    outside,
    async close() {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await replayOpen();
      await outside.close();
      await Promise.all([store.close(), owner.close()]);
      await database.drop();
      await server.close();
    },
  };
}

/** Adds a product of the test's own to the catalogue. */
export async function aProduct(store: Store, overrides: Partial<Product> = {}): Promise<Product> {
  const product: Product = {
    sku: `SKU-${randomUUID().slice(0, 8).toUpperCase()}`,
    name: 'A thing',
    price: { value: 1250, currency: 'EUR' },
    available: 10,
    ...overrides,
  };
  await store.addProducts([product]);
  return product;
}

/** An order that would complete, with an id of its own. */
export function anOrder(overrides: Partial<OrderInput> & Pick<OrderInput, 'lines'>): OrderInput {
  return {
    orderId: randomUUID(),
    customerId: `customer-${randomUUID().slice(0, 8)}`,
    payment: { token: 'tok_ok' },
    ...overrides,
  };
}
