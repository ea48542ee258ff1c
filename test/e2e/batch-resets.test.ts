import { afterAll, beforeAll, expect, test } from 'vitest';
import { keys, run, stage, TestOperations, writtenBy } from '../support/batches.js';
import { describeOnDevServer, startDevServer } from '../support/dev-server.js';
import { closedAs, reset, resetPoints } from '../support/resets.js';
import { openShop, type Shop } from '../support/shop.js';

describeOnDevServer('a batch after a reset', () => {
  let shop: Shop;
  const tests = new TestOperations();

  beforeAll(async () => {
    shop = await openShop(await startDevServer(), { queues: ['batches'], operations: tests.operations });
  });
  afterAll(async () => {
    await shop?.close();
  });

  test('processes each item once in its own attempt after a reset to any workflow task', async () => {
    const items = keys(6, 'reset');
    const batchId = await stage(shop.store, { operation: 'write', items, itemsPerTask: 2 });
    const { workflowId, firstExecutionRunId: runId } = await run(shop.client, batchId);
    expect(await closedAs(shop.client.workflow.getHandle(workflowId, runId))).toBe('COMPLETED');
    const points = await resetPoints(shop.client.workflow.getHandle(workflowId, runId));
    expect(points.length).toBeGreaterThan(2);

    for (const point of points) {
      const again = await reset(shop.client, { workflowId, runId }, point);

      expect([point, await closedAs(again)]).toEqual([point, 'COMPLETED']);
      expect(await again.result()).toMatchObject({ status: 'completed', succeeded: 6, failed: 0, round: 1 });
      expect(await writtenBy(shop.store, batchId)).toEqual(items.map(({ key }) => key));
      expect(await shop.store.listBatches({}, { limit: 1 })).toMatchObject([{ batchId, status: 'completed' }]);
    }
  });

  test('starts no second attempt when a reset to its first workflow task meets unfinished chunks', async () => {
    const items = keys(6, 'held');
    const batchId = await stage(shop.store, { operation: 'write', items, itemsPerTask: 2 });
    tests.trouble('held-0003', 'passing', 2);
    const { workflowId, firstExecutionRunId: runId } = await run(shop.client, batchId);
    const handle = shop.client.workflow.getHandle(workflowId, runId);
    await expect
      .poll(async () => (await shop.store.tallyBatch(batchId))?.succeeded, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(4);
    const [first] = await resetPoints(handle);

    const again = await reset(shop.client, { workflowId, runId }, first!);

    expect(await closedAs(again)).toBe('COMPLETED');
    expect(await again.result()).toMatchObject({ succeeded: 6, failed: 0, round: 1 });
    expect(await writtenBy(shop.store, batchId)).toEqual(items.map(({ key }) => key));
  });
});
