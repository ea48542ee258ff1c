import { sql, type Kysely } from 'kysely';
import type { DailyReport } from '../schemas/report.js';
import type { Money } from '../schemas/shared/money.js';
import { runLongTransaction } from './postgres/transactions.js';
import type { Tables } from './tables.js';

export function createReportStore(db: Kysely<Tables>) {
  return {
    /**
     * Counts the records of a day in UTC, and stores the figures. Replaces earlier figures of the day.
     *
     * @param day `2026-11-29`
     */
    async writeDailyReport(day: string): Promise<DailyReport> {
      return await runLongTransaction(db, async (tx) => {
        const report = await countDay(tx, day);
        const figures = JSON.stringify(report);
        await tx
          .insertInto('daily_reports')
          .values({ day, figures })
          .onConflict((conflict) => conflict.column('day').doUpdateSet({ figures, written_at: sql`now()` }))
          .execute();
        return report;
      });
    },
  };
}

async function countDay(db: Kysely<Tables>, day: string): Promise<DailyReport> {
  const from = new Date(`${day}T00:00:00Z`);
  const before = new Date(from.getTime() + 24 * 60 * 60_000);
  const orders = await db
    .selectFrom('orders')
    .select(['status', 'total_currency as currency'])
    .select(({ fn }) => [fn.countAll().as('count'), fn.sum('total_value').as('value')])
    .where('placed_at', '>=', from)
    .where('placed_at', '<', before)
    .groupBy(['status', 'total_currency'])
    .orderBy('status')
    .orderBy('total_currency')
    .execute();
  const approvals = await db
    .selectFrom('approvals')
    .select('status')
    .select(({ fn }) => fn.countAll().as('count'))
    .where('requested_at', '>=', from)
    .where('requested_at', '<', before)
    .groupBy('status')
    .orderBy('status')
    .execute();
  const batches = await db
    .selectFrom('batches')
    .select(({ fn }) => [
      fn.countAll().as('uploaded'),
      fn.sum('succeeded').as('succeeded'),
      fn.sum('failed').as('failed'),
    ])
    .where('created_at', '>=', from)
    .where('created_at', '<', before)
    .executeTakeFirstOrThrow();
  return {
    day,
    orders: countByStatus(orders),
    revenue: orders
      .filter(({ status }) => status === 'completed')
      .flatMap(({ currency, value }): Money[] => (currency === null ? [] : [{ value: Number(value), currency }])),
    approvals: countByStatus(approvals),
    batches: {
      uploaded: Number(batches.uploaded),
      succeededItems: Number(batches.succeeded),
      failedItems: Number(batches.failed),
    },
  };
}

function countByStatus<Status extends string>(
  rows: { status: Status; count: number | string | bigint }[],
): Partial<Record<Status, number>> {
  const counts: Partial<Record<Status, number>> = {};
  for (const { status, count } of rows) counts[status] = (counts[status] ?? 0) + Number(count);
  return counts;
}
