import { randomUUID } from 'node:crypto';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCartActivities } from '../../src/activities/carts.js';
import { openStore, type Store } from '../../src/store/index.js';
import { runActivity } from '../support/workers/activity-environment.js';
import { createDatabase } from '../support/database/database.js';
import { makeOrder, addProduct } from '../support/shop/shop.js';

let database: Awaited<ReturnType<typeof createDatabase>>;
let store: Store;

beforeAll(async () => {
  database = await createDatabase();
  store = openStore({ databaseUrl: database.url, maxConnections: 4, onIdleError: () => undefined });
});
afterAll(async () => {
  await store?.close();
  await database?.drop();
});

describe('claimCartOrder', () => {
  /** Checks out a cart. `at` is the start time of the attempt; the default is later than all earlier claims. */
  const checkOut = async (
    { firstRunId, quantity, total }: { firstRunId: string; quantity: number; total?: number },
    { at = Date.now() + 1_000, isStarted = false }: { at?: number; isStarted?: boolean } = {},
  ) => {
    const describeCart = async () => {
      if (!isStarted) throw new WorkflowNotFoundError('not found', `order:${firstRunId}`, undefined);
    };
    const client = {
      workflow: { getHandle: () => ({ describe: describeCart }) },
      withAbortSignal: (_signal: unknown, run: () => Promise<unknown>) => run(),
    } as unknown as Client;
    const env = new MockActivityEnvironment(
      { currentAttemptScheduledTimestampMs: at },
      { client, logger: new DefaultLogger('ERROR') },
    );
    const { claimCartOrder } = createCartActivities({ store });
    const order = makeOrder({
      orderId: firstRunId,
      customerId: 'ada',
      lines: [{ sku, quantity }],
      ...(total !== undefined && { expectedTotal: { value: total, currency: 'EUR' } }),
    });
    await runActivity(claimCartOrder, { cart: { firstRunId, cartId: firstRunId }, order }, env);
    return (await store.findCartOrder(firstRunId))!;
  };
  let sku: string;
  beforeAll(async () => {
    sku = (await addProduct(store)).sku;
  });

  test('a new checkout replaces the claim of an order that was never started', async () => {
    const firstRunId = randomUUID();
    const first = await checkOut({ firstRunId, quantity: 1 });

    const second = await checkOut({ firstRunId, quantity: 2 });

    expect(second.orderId).toBe(firstRunId);
    expect(second.contentHash).not.toBe(first.contentHash);
  });

  test('rejects a checkout with other content when the order has already started', async () => {
    const firstRunId = randomUUID();
    const first = await checkOut({ firstRunId, quantity: 1 });

    const other = checkOut({ firstRunId, quantity: 2 }, { isStarted: true });

    await expect(other).rejects.toMatchObject({ type: 'AlreadyOrdered', details: [{ orderId: firstRunId }] });
    expect(await store.findCartOrder(firstRunId)).toEqual(first);
  });

  test('a late attempt of an earlier checkout does not replace the claim of a newer checkout', async () => {
    const firstRunId = randomUUID();
    const lateAt = Date.now() - 60_000;
    const newer = await checkOut({ firstRunId, quantity: 2 });

    const late = checkOut({ firstRunId, quantity: 1 }, { at: lateAt });

    await expect(late).rejects.toThrow(`another checkout has claimed order ${firstRunId}`);
    expect(await store.findCartOrder(firstRunId)).toEqual(newer);
  });

  test('checks the expected total again when an earlier claim did not start an order', async () => {
    const firstRunId = randomUUID();
    await checkOut({ firstRunId, quantity: 1 });

    await expect(checkOut({ firstRunId, quantity: 1, total: 1 })).rejects.toMatchObject({ type: 'PriceChanged' });
  });
});
