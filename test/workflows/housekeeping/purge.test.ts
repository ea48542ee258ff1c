import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HOUSEKEEPING_TASK_QUEUE } from '../../../src/workflows/housekeeping/contract.js';
import type { purge as purgeWorkflow } from '../../../src/workflows/housekeeping/purge.js';
import { APP_ROLE } from '../../support/database/database.js';
import { stageTestBatch, startBatch } from '../../support/shop/batches.js';
import { addProduct, makeOrder, startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';
import { waitForClose } from '../../support/temporal/resets.js';

/** The tables whose rows make ids unique. */
const TOMBSTONES = ['orders', 'carts', 'batches', 'batch_attempts', 'batch_chunks', 'approvals', 'approval_messages'];

describeOnDevServer('the purge', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['orders', 'batches', 'housekeeping'] });
  });
  afterAll(async () => {
    await shop?.close();
  });

  let runs = 0;
  const startPurge = (...args: [unknown?]) =>
    shop.client.workflow.start<typeof purgeWorkflow>('purge', {
      workflowId: `purge-${(runs += 1)}`,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      args,
    });

  async function addKey(hours: number): Promise<Buffer> {
    const scope = randomBytes(32);
    await shop.store.claimIdempotencyKey(scope, Buffer.from('content'));
    await sql`update idempotency_keys set claimed_at = now() - make_interval(hours => ${hours}) where scope = ${scope}`.execute(
      shop.ownerStore.db,
    );
    return scope;
  }

  async function addNotification(cartId: string, days: number): Promise<void> {
    await shop.store.addNotification({ key: cartId, cartId, kind: 'abandoned' });
    await sql`update notifications set created_at = now() - make_interval(days => ${days}) where key = ${cartId}`.execute(
      shop.ownerStore.db,
    );
  }

  async function addPaymentEvent(eventId: string, days: number): Promise<void> {
    await shop.store.recordPaymentEvent({ eventId, type: 'charged', chargeId: eventId, orderId: eventId });
    await sql`update payment_events set received_at = now() - make_interval(days => ${days}) where event_id = ${eventId}`.execute(
      shop.ownerStore.db,
    );
  }

  /** Runs a batch whose only item fails, and closes the batch some days ago. */
  async function runFailedBatch(days: number): Promise<string> {
    const batchId = await stageTestBatch(shop.store, { items: [{ sku: 'UNKNOWN', quantity: 1 }] });
    await (await startBatch(shop.client, batchId)).result();
    await sql`update batches set closed_at = now() - make_interval(days => ${days}) where batch_id = ${batchId}`.execute(
      shop.ownerStore.db,
    );
    return batchId;
  }

  async function countRows(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const table of TOMBSTONES) {
      const { rows } = await sql<{ count: number }>`select count(*)::int from ${sql.table(table)}`.execute(
        shop.ownerStore.db,
      );
      counts[table] = rows[0]!.count;
    }
    return counts;
  }

  test('deletes records after their retention, keeps younger records and all rows that make ids unique', async () => {
    await addKey(25);
    const youngKey = await addKey(23);
    await addNotification('old', 91);
    await addNotification('young', 89);
    await addPaymentEvent('old', 181);
    await addPaymentEvent('young', 179);
    const order = makeOrder({ lines: [{ sku: 'UNKNOWN', quantity: 1 }] });
    const orderRun = await shop.client.workflow.start('order', {
      workflowId: `order:${order.orderId}`,
      taskQueue: 'orders',
      args: [order],
    });
    await waitForClose(orderRun);
    const before = await countRows();
    expect(before).toMatchObject({ orders: 1 });

    const purge = await startPurge();
    expect(await purge.result()).toMatchObject({ idempotencyKeys: 1, notifications: 2, orders: 0 });

    expect((await shop.store.claimIdempotencyKey(youngKey, Buffer.from('other'))).outcome).toBe('other');
    expect(await shop.store.listCartNotifications('old')).toEqual([]);
    expect(await shop.store.listCartNotifications('young')).toEqual(['abandoned']);
    expect(await shop.store.db.selectFrom('payment_events').select('event_id').execute()).toEqual([
      { event_id: 'young' },
    ]);
    expect(await countRows()).toEqual(before);
    const second = await startPurge();
    expect(await second.result()).toMatchObject({ idempotencyKeys: 0, notifications: 0, orders: 0 });
  });

  test('deletes the items of old batches, and keeps the items of younger batches and all counts', async () => {
    const [oldBatch, youngBatch] = [await runFailedBatch(91), await runFailedBatch(89)];
    const before = await countRows();

    expect(await (await startPurge()).result()).toMatchObject({ batches: 1, uploads: 0 });
    expect(await shop.store.listBatchFailures(youngBatch, { limit: 10 })).toHaveLength(1);
    expect(await shop.store.countBatchProgress(oldBatch)).toMatchObject({ total: 1, failed: 1 });
    expect(await countRows()).toEqual(before);
    expect(await (await startPurge()).result()).toMatchObject({ batches: 0, uploads: 0 });

    const retry = await startBatch(shop.client, oldBatch);
    await expect(retry.result()).rejects.toMatchObject({ cause: { cause: { type: 'BatchItemsDeleted' } } });
    expect(await shop.store.countBatchProgress(oldBatch)).toMatchObject({ total: 1, failed: 1, attempt: 1 });
  });

  test('deletes the items of an upload that was cut off a day ago, and keeps an upload in progress', async () => {
    for (const [attemptId, hours] of [
      [-1, 25],
      [-2, 23],
    ] as const) {
      await sql`
        insert into batch_uploads (attempt_id, batch_id, items_per_chunk, last_part_at)
        values (${attemptId}, 'cut-off', 1, now() - make_interval(hours => ${hours}))`.execute(shop.ownerStore.db);
      await sql`
        insert into batch_chunks (attempt_id, chunk_index, items, item_count)
        select ${attemptId}, n, '[]', 1 from generate_series(0, 1200) as n`.execute(shop.ownerStore.db);
    }

    await (await startPurge()).result();

    const { rows: uploads } = await sql`select attempt_id from batch_uploads`.execute(shop.ownerStore.db);
    expect(uploads).toEqual([{ attempt_id: -2 }]);
    const { rows: chunks } = await sql`
      select attempt_id, count(*)::int as chunks from batch_chunks where attempt_id < 0 group by attempt_id`.execute(
      shop.ownerStore.db,
    );
    expect(chunks).toEqual([{ attempt_id: -2, chunks: 1_201 }]);
  });

  test('erases the personal data of orders after their retention, and keeps their ids, amounts and stock', async () => {
    const product = await addProduct(shop.store);
    const closeOrder = async (days: number) => {
      const { orderId, customerId } = makeOrder({ lines: [] });
      const order = { orderId, firstRunId: orderId, customerId, placedAt: new Date(), contentHash: 'hash' };
      await shop.store.reserveStock(order, [{ sku: product.sku, quantity: 1 }]);
      await shop.store.claimCartOrder(
        { firstRunId: orderId, cartId: orderId, customerId },
        { orderId, contentHash: 'a' },
      );
      const reason = { type: 'Cancelled', message: `asked by ${customerId}` };
      const view = { orderId, customerId, status: 'cancelled', stage: 'done', reason } as const;
      await shop.store.closeOrder(order, {
        view: { ...view, steps: [], compensations: [] },
        runId: orderId,
        reservation: 'released',
      });
      await sql`update orders set closed_at = now() - make_interval(days => ${days}) where order_id = ${orderId}`.execute(
        shop.ownerStore.db,
      );
      return { orderId, customerId };
    };
    const [old, young, listed] = [await closeOrder(731), await closeOrder(729), await closeOrder(731)];
    await shop.store.recordAuditFindings({
      findings: [{ orderId: listed.orderId, problem: 'not refunded' }],
      isComplete: true,
      runId: 'audit',
    });
    const terminated = makeOrder({ lines: [] });
    const open = { ...terminated, firstRunId: 'open', placedAt: new Date(0), contentHash: 'hash' };
    await shop.store.reserveStock(open, [{ sku: product.sku, quantity: 1 }]);
    await shop.store.closeOrderWithoutOutcome(open, new Date(0));
    const rowsWith = async (text: string) => {
      const { rows } = await sql<{ row: string }>`
        select orders::text as row from orders where strpos(orders::text, ${text}) > 0
        union all select carts::text from carts where strpos(carts::text, ${text}) > 0`.execute(shop.ownerStore.db);
      return rows.length;
    };
    const before = await countRows();
    const products = await shop.store.findProducts([product.sku]);

    expect(await (await startPurge()).result()).toMatchObject({ orders: 1 });

    expect(await rowsWith(old.customerId)).toBe(0);
    for (const kept of [young, listed]) expect(await rowsWith(kept.customerId)).toBe(2);
    expect(await rowsWith(terminated.customerId)).toBe(1);
    expect(await countRows()).toEqual(before);
    expect(await shop.store.findProducts([product.sku])).toEqual(products);
    expect(await shop.store.findOrder(old.orderId)).toMatchObject({
      status: 'cancelled',
      outcome: { view: { status: 'cancelled', reason: { type: 'Cancelled', message: '<erased>' } } },
    });
    expect(await (await startPurge()).result()).toMatchObject({ orders: 0 });
  });

  test('continues with the other kinds of records when one kind fails, and then fails with the list', async () => {
    await addKey(25);
    await addNotification('stuck', 91);
    await addPaymentEvent('expired', 181);
    const batch = await runFailedBatch(91);
    await sql`revoke delete on notifications from ${sql.id(APP_ROLE)}`.execute(shop.ownerStore.db);
    try {
      const run = await startPurge();
      await expect(run.result()).rejects.toMatchObject({
        cause: {
          type: 'PurgeIncomplete',
          message: expect.stringMatching(/^notifications: .*notifications: permission denied/) as string,
          details: [{ idempotencyKeys: 1, notifications: 0, batches: 1, uploads: 0, orders: 0 }],
        },
      });
    } finally {
      await sql`grant delete on notifications to ${sql.id(APP_ROLE)}`.execute(shop.ownerStore.db);
    }
    expect(await shop.store.areBatchItemsDeleted(batch)).toBe(true);
    const events = await shop.store.db.selectFrom('payment_events').select('event_id').execute();
    expect(events).not.toContainEqual({ event_id: 'expired' });
    expect(await shop.store.listCartNotifications('stuck')).toEqual(['abandoned']);
    expect(await (await startPurge()).result()).toMatchObject({ notifications: 1 });
  });

  test('rejects an input, such as an option that does not exist, and deletes nothing', async () => {
    await addNotification('kept', 91);
    for (const input of [{ dryRun: true }, null, '']) {
      const run = await startPurge(input);
      await expect(run.result()).rejects.toMatchObject({ cause: { cause: { type: 'InvalidInput' } } });
    }
    expect(await shop.store.listCartNotifications('kept')).toEqual(['abandoned']);
  });
});
