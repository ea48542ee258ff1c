import { sql, type Kysely } from 'kysely';
import type { UnhandledReportReason, UnhandledReport } from '../schemas/shipment-reports.js';
import type { Tables } from './tables.js';

export interface UnhandledReportQuery {
  limit: number;
  /** The number of the last report of the previous page. */
  before?: string;
  reason?: UnhandledReportReason | undefined;
}

interface ReportCount {
  count: number;
  /** Whether there may be more reports, because one kind has reached its maximum. */
  mayBeMore: boolean;
}

export function createShipmentReportStore(db: Kysely<Tables>) {
  return {
    /**
     * Records a carrier report that no order processed.
     *
     * @returns false when a report with this webhook id is already recorded.
     */
    async recordUnhandledReport(report: Omit<UnhandledReport, 'receivedAt'>): Promise<boolean> {
      const { webhookId, orderId, shipmentId, status, reason } = report;
      const inserted = await db
        .insertInto('shipment_reports')
        .values({ webhook_id: webhookId, order_id: orderId, shipment_id: shipmentId, status, reason })
        .onConflict((conflict) => conflict.column('webhook_id').doNothing())
        .returning('webhook_id')
        .executeTakeFirst();
      return inserted !== undefined;
    },

    /**
     * Counts the reports of the last days that a person should look at: those with an unknown status, and those that
     * contradict the outcome of their order. Counts at most `max` reports of each kind.
     */
    async countSurprisingReports({ days, max }: { days: number; max: number }): Promise<ReportCount> {
      const newestOf = (reason: UnhandledReportReason) => sql`(
        select received_at, reason from shipment_reports where reason = ${reason} order by number desc limit ${max}
      )`;
      const { rows } = await sql<{ count: number }>`
        select count(*)::int as count
        from (${newestOf('contradicts_outcome')} union all ${newestOf('unknown_status')}) newest
        where received_at > now() - make_interval(days => ${days})
        group by reason`.execute(db);
      return {
        count: rows.reduce((sum, { count }) => sum + count, 0),
        mayBeMore: rows.some(({ count }) => count === max),
      };
    },

    /** Lists the recorded reports, newest first. `number` is the cursor for the next page. */
    async listUnhandledReports({
      limit,
      before,
      reason,
    }: UnhandledReportQuery): Promise<(UnhandledReport & { number: string })[]> {
      const rows = await db
        .selectFrom('shipment_reports')
        .selectAll()
        .$if(before !== undefined, (query) => query.where('number', '<', before!))
        .$if(reason !== undefined, (query) => query.where('reason', '=', reason!))
        .orderBy('number', 'desc')
        .limit(limit)
        .execute();
      return rows.map((row) => ({
        number: row.number,
        webhookId: row.webhook_id,
        orderId: row.order_id,
        shipmentId: row.shipment_id,
        status: row.status,
        reason: row.reason,
        receivedAt: row.received_at.toISOString(),
      }));
    },
  };
}
