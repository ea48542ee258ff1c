import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import type { NativeConnection, WorkerOptions } from '@temporalio/worker';
import { inject } from 'vitest';
import type { Operations } from '../../../src/batch-operations/index.js';
import type { OrderInput } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { openStore, type Store } from '../../../src/store/index.js';
import { TASK_QUEUES, type TaskQueue } from '../../../src/temporal/task-queues.js';
import { createTestActivities } from './test-activities.js';
import { createTestWorkers } from '../workers/create-test-workers.js';
import { createDatabase } from '../database/database.js';
import { startFakes, type RunningFakes } from '../fakes/running-fakes.js';
import '../setup/quiet-runtime.js';
import { replayOpenRuns } from '../replay/run-tracker.js';
import '../replay/track-workers.js';

/** The common interface of all test servers. */
export interface TemporalServer {
  client: Client;
  nativeConnection: NativeConnection;
  /**
   * The shop starts an additional worker on each of these connections. A connection can have only one worker per task
   * queue.
   */
  moreConnections?: readonly NativeConnection[];
  namespace: string;
  close: () => Promise<void>;
}

/** The shop of one test file: a database, fake partners, and workers in this process. */
export interface Shop {
  client: Client;
  store: Store;
  /** The store with the privileges of the database owner. */
  ownerStore: Store;
  /** The URL with which worker and API connect to the database. */
  databaseUrl: string;
  ownerDatabaseUrl: string;
  fakes: RunningFakes;
  close: () => Promise<void>;
}

interface ShopOptions {
  /** Set to false if the test starts its own worker. Default: true. */
  withWorker?: boolean;
  /**
   * The task queues of the worker. A worker for all queues takes four times as long to start as a worker for one queue.
   */
  queues?: readonly TaskQueue[];
  /** The batch operations. Default: the operations of the shop. */
  operations?: Operations;
  /** Receives the log lines of workflows as the sink `defaultWorkerLogger`. Default: the logger of the runtime. */
  sinks?: NonNullable<WorkerOptions['sinks']>;
}

/** Starts a shop on a Temporal server. */
export async function startShop(
  server: TemporalServer,
  { withWorker = true, queues = TASK_QUEUES, operations, sinks }: ShopOptions = {},
): Promise<Shop> {
  const [database, fakes] = await Promise.all([createDatabase(), startFakes()]);
  const store = openStore({ databaseUrl: database.appUrl, maxConnections: 10, onIdleError: () => undefined });
  const owner = openStore({ databaseUrl: database.url, maxConnections: 1, onIdleError: () => undefined });
  const connections = [server.nativeConnection, ...(server.moreConnections ?? [])];
  const workers = await Promise.all(
    (withWorker ? connections : []).map((connection) =>
      createTestWorkers({
        connection,
        namespace: server.namespace,
        workflowBundle: { codePath: inject('workflowBundle') },
        taskQueues: queues,
        batchConcurrentChunks: 4,
        ...(sinks && { sinks }),
        activities: createTestActivities({ store, fakes, ...(operations && { operations }) }),
      }),
    ),
  );
  const running = workers.map((worker) => worker.run());
  return {
    client: server.client,
    // Uses the owner's connection, because the role of the application must not add products.
    store: { ...store, addProducts: owner.addProducts },
    ownerStore: owner,
    databaseUrl: database.appUrl,
    ownerDatabaseUrl: database.url,
    fakes,
    async close() {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await replayOpenRuns();
      await fakes.close();
      await Promise.all([store.close(), owner.close()]);
      await database.drop();
      await server.close();
    },
  };
}

/** Adds a new product to the catalogue. */
export async function addProduct(store: Store, overrides: Partial<Product> = {}): Promise<Product> {
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

/** Returns the available units of a product. Undefined if the product does not exist. */
export async function readStock(
  { findProducts }: Pick<Store, 'findProducts'>,
  sku: string,
): Promise<number | undefined> {
  return (await findProducts([sku])).get(sku)?.available;
}

/** Makes the input of an order with a new id. By default, the order can complete. */
export function makeOrder(overrides: Partial<OrderInput> & Pick<OrderInput, 'lines'>): OrderInput {
  return {
    orderId: randomUUID(),
    customerId: `customer-${randomUUID().slice(0, 8)}`,
    payment: { token: 'tok_ok' },
    ...overrides,
  };
}
