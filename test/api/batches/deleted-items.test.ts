import { beforeAll, expect, test } from 'vitest';
import type { Api } from '../../support/api/api.js';
import { useBatchApi } from '../../support/api/batch-api.js';
import type { Shop } from '../../support/shop/shop.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

describeOnDevServer('a batch whose items were deleted after their retention', () => {
  const batchApi = useBatchApi();
  const { get, sendCommand, runBatchWithFailures } = batchApi;
  let shop: Shop;
  let api: Api;
  let batchId: string;
  beforeAll(async () => {
    ({ shop, api } = batchApi);
    batchId = await runBatchWithFailures(1);
    await shop.store.deleteBatchItems(new Date(Date.now() + 60_000));
  });

  test('keeps its status and its counts', async () => {
    const { status, body } = await get(batchId);
    expect([status, body]).toMatchObject([
      200,
      { status: 'completed_with_failures', failed: 1, itemsDeletedAt: expect.any(String) as string },
    ]);
  });

  test.each(['failures', 'failures/file'])('returns 410 for its %s', async (path) => {
    const { status, body } = await api.get(`/v1/batches/${batchId}/${path}`);
    expect([status, body]).toMatchObject([410, { type: '/problems/batch-items-deleted', batchId }]);
  });

  test('rejects a retry with 409', async () => {
    const { status, body } = await sendCommand(batchId, 'retry');
    expect([status, body]).toMatchObject([409, { type: '/problems/batch-closed' }]);
    expect(body.detail).toContain('its items were deleted');
  });

  test('has a page in the console without the failed items and without a retry', async () => {
    const page = await fetch(`${api.url}/console/batches/${batchId}`, { headers: { accept: 'text/html' } });
    const text = await page.text();
    expect(page.status).toBe(200);
    expect(text).toContain('after their retention');
    expect(text).not.toContain('Retry');
    expect(text).not.toContain('Download as CSV');
    const failures = await fetch(`${api.url}/console/batches/${batchId}/failures`, {
      headers: { accept: 'text/html' },
    });
    expect(failures.status).toBe(410);
    expect(await failures.text()).toContain('were deleted after their retention');
  });
});
