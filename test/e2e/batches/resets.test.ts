import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeItems, startBatch, stageTestBatch, TestOperations, writtenKeys } from '../../support/shop/batches.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { waitForClose, resetRun, resetPoints } from '../../support/temporal/resets.js';
import { startShop, type Shop } from '../../support/shop/shop.js';

describeOnDevServer('a batch after a reset', () => {
  let shop: Shop;
  const tests = new TestOperations();

  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['batches'], operations: tests.operations });
  });
  afterAll(async () => {
    await shop?.close();
  });

  test('a batch that is reset to any workflow task processes each item once and stays in attempt 1', async () => {
    const items = makeItems(6, 'reset');
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items, itemsPerChunk: 2 });
    const { workflowId, firstExecutionRunId: runId } = await startBatch(shop.client, batchId);
    expect(await waitForClose(shop.client.workflow.getHandle(workflowId, runId))).toBe('COMPLETED');
    const points = await resetPoints(shop.client.workflow.getHandle(workflowId, runId));
    expect(points.length).toBeGreaterThan(2);

    for (const point of points) {
      const again = await resetRun(shop.client, { workflowId, runId }, point);

      expect([point, await waitForClose(again)]).toEqual([point, 'COMPLETED']);
      expect(await again.result()).toMatchObject({ status: 'completed', succeeded: 6, failed: 0, attempt: 1 });
      expect(await writtenKeys(shop.store, batchId)).toEqual(items.map(({ key }) => key));
      expect(await shop.store.listBatches({}, { limit: 1 })).toMatchObject([{ batchId, status: 'completed' }]);
    }
  });

  test('a batch that is reset while chunks are unfinished completes in attempt 1', async () => {
    const items = makeItems(6, 'held');
    const batchId = await stageTestBatch(shop.store, { operation: 'write', items, itemsPerChunk: 2 });
    tests.failItem('held-0003', 'transient', 2);
    const { workflowId, firstExecutionRunId: runId } = await startBatch(shop.client, batchId);
    const handle = shop.client.workflow.getHandle(workflowId, runId);
    await expect
      .poll(async () => (await shop.store.countBatchProgress(batchId))?.succeeded, { timeout: 20_000 })
      .toBeGreaterThanOrEqual(4);
    const [first] = await resetPoints(handle);

    const again = await resetRun(shop.client, { workflowId, runId }, first!);

    expect(await waitForClose(again)).toBe('COMPLETED');
    expect(await again.result()).toMatchObject({ succeeded: 6, failed: 0, attempt: 1 });
    expect(await writtenKeys(shop.store, batchId)).toEqual(items.map(({ key }) => key));
  });
});
