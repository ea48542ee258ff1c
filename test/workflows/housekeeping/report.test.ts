import { sql } from 'kysely';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ReportInput } from '../../../src/schemas/report.js';
import { HOUSEKEEPING_TASK_QUEUE } from '../../../src/workflows/housekeeping/contract.js';
import type { report as reportWorkflow } from '../../../src/workflows/housekeeping/report.js';
import { startShop, type Shop } from '../../support/shop/shop.js';
import { describeOnDevServer, startDevServer } from '../../support/temporal/dev-server.js';

const YESTERDAY = sql`date_trunc('day', now() at time zone 'utc' - interval '1 day')`;

describeOnDevServer('the report', () => {
  let shop: Shop;
  beforeAll(async () => {
    shop = await startShop(await startDevServer(), { queues: ['housekeeping'] });
  });
  afterAll(async () => {
    await shop?.close();
  });

  let runs = 0;
  const report = async (...args: [ReportInput?]) =>
    await shop.client.workflow.execute<typeof reportWorkflow>('report', {
      workflowId: `report-${(runs += 1)}`,
      taskQueue: HOUSEKEEPING_TASK_QUEUE,
      args: args,
    });

  /** Adds an order that was placed at a time of the day before today, in UTC. */
  async function addOrder(id: string, time: string, status: string, total: [value: number, currency: string]) {
    await sql`
      insert into orders (order_id, first_run_id, placed_at, customer_id, content_hash, status, stage, reservation, total_value, total_currency)
      values (${id}, 'run', (${YESTERDAY} + ${time}::interval) at time zone 'utc', 'customer', 'hash', ${status}, 'done', 'sold', ${total[0]}, ${total[1]})`.execute(
      shop.ownerStore.db,
    );
  }

  async function addApproval(id: string, status: string) {
    await sql`
      insert into approvals (approval_id, first_run_id, content_hash, status, title, requested_by, stage, stages, approvers, deadline, requested_at)
      values (${id}, 'run', 'hash', ${status}, 'title', 'ann', 1, 1, '{bob}', now(), ${YESTERDAY} at time zone 'utc')`.execute(
      shop.ownerStore.db,
    );
  }

  const storedReports = async () => {
    const { rows } = await sql<{ day: string; figures: unknown }>`
      select day::text, figures from daily_reports order by day`.execute(shop.ownerStore.db);
    return rows;
  };

  test('counts the records of each day in UTC, and a later run replaces the figures', async () => {
    await addOrder('first', '00:00:00', 'completed', [1_000, 'EUR']);
    await addOrder('second', '12:00:00', 'completed', [250, 'EUR']);
    await addOrder('yen', '23:59:59.999', 'completed', [700, 'JPY']);
    await addOrder('late', '23:00:00', 'processing', [9_900, 'EUR']);
    await addOrder('today', '24:00:00', 'completed', [1, 'EUR']);
    await addOrder('day-before', '-00:00:01', 'cancelled', [1, 'EUR']);
    await addApproval('approved', 'approved');
    await addApproval('pending', 'pending');
    await sql`
      insert into batches (batch_id, operation, items_per_chunk, total, content_hash, status, succeeded, failed, created_at)
      values ('batch', 'restock', 1, 3, 'hash', 'completed', 2, 1, ${YESTERDAY} at time zone 'utc')`.execute(
      shop.ownerStore.db,
    );

    const reports = await report();

    expect(reports).toHaveLength(7);
    const [dayBefore, yesterday] = reports.slice(-2);
    const yesterdayText = new Date(Date.now() - 24 * 60 * 60_000).toISOString().slice(0, 10);
    expect(dayBefore).toMatchObject({ orders: { cancelled: 1 }, revenue: [], batches: { uploaded: 0 } });
    expect(yesterday).toEqual({
      day: yesterdayText,
      orders: { completed: 3, processing: 1 },
      revenue: [
        { value: 1_250, currency: 'EUR' },
        { value: 700, currency: 'JPY' },
      ],
      approvals: { approved: 1, pending: 1 },
      batches: { uploaded: 1, succeededItems: 2, failedItems: 1 },
    });
    expect(await storedReports()).toEqual(reports.map((figures) => ({ day: figures.day, figures })));

    await sql`update orders set status = 'completed' where order_id = 'late'`.execute(shop.ownerStore.db);
    const [again] = await report({ days: 1 });
    expect(again).toMatchObject({ orders: { completed: 4 }, revenue: [{ value: 11_150 }, { value: 700 }] });
    expect(await storedReports()).toEqual(
      [...reports.slice(0, 6), again].map((figures) => ({ day: figures!.day, figures })),
    );
  });

  test.each([0, 32, 1.5])('%s days are an error', async (days) => {
    await expect(report({ days })).rejects.toMatchObject({ cause: { cause: { type: 'InvalidInput' } } });
  });
});
