import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensureSchedules } from '../../src/temporal/schedules.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../src/workflows/housekeeping/contract.js';
import { PAYMENT_TASK_QUEUE } from '../../src/workflows/order/contract.js';
import { waitUntil } from '../support/processes.js';
import { startShop, type Shop } from '../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../support/temporal/dev-server.js';

describeOnDevServer('the schedules', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: [HOUSEKEEPING_TASK_QUEUE, PAYMENT_TASK_QUEUE] });
  });
  afterAll(async () => {
    await shop?.close();
  });

  test('are created once, are updated by later calls, and stay paused', async () => {
    const { client } = shop;
    expect(await ensureSchedules(client)).toEqual(['reconcile', 'audit', 'report', 'purge']);
    const handle = client.schedule.getHandle('reconcile');
    await handle.pause('maintenance');
    // An operator changed the interval by hand. The next setup restores it.
    await handle.update((current) => ({ ...current, spec: { intervals: [{ every: '1 day' }] } }));

    expect(await ensureSchedules(client)).toEqual([]);
    expect(await handle.describe()).toMatchObject({
      spec: { intervals: [{ every: 3_600_000 }], jitter: 300_000 },
      policies: { overlap: 'SKIP', catchupWindow: 600_000 },
      state: { paused: true, note: 'maintenance' },
    });
    expect(await client.schedule.getHandle('purge').describe()).toMatchObject({
      spec: { intervals: [{ every: 86_400_000, offset: 10_800_000 }], jitter: 1_800_000 },
      policies: { overlap: 'SKIP' },
      state: { paused: false },
    });
  });

  test.each([
    ['reconcile', { comparedCount: 0, orders: [], hasMore: false }],
    ['audit', { chargeCount: 0, workflowCount: 0, findings: [], isComplete: true }],
    ['report', expect.objectContaining({ length: 7 })],
    ['purge', { idempotencyKeys: 0, notifications: 0, batches: 0, uploads: 0, orders: 0 }],
  ])('the triggered schedule %s runs its workflow', async (scheduleId, expected) => {
    await ensureSchedules(shop.client);
    const handle = shop.client.schedule.getHandle(scheduleId);
    await handle.trigger();
    const workflowId = await waitUntil(
      async () => (await handle.describe()).info.recentActions[0]?.action.workflow.workflowId,
      {
        description: 'the run of the schedule',
        timeoutMs: 30_000,
      },
    );
    const result: unknown = await shop.client.workflow.getHandle(workflowId).result();
    expect(result).toEqual(expected);
  });
});
