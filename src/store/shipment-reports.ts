import type { Kysely } from 'kysely';
import type { UnhandledReportReason, UnhandledReport } from '../schemas/shipment-reports.js';
import type { Tables } from './tables.js';

export interface UnhandledReportQuery {
  limit: number;
  /** The number of the last report of the previous page. */
  before?: string;
  reason?: UnhandledReportReason | undefined;
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
