import { z } from 'zod';
import { pageOf, pageQuery } from './shared/page.js';
import { time } from './shared/primitives.js';

export const unhandledReportReason = z
  .enum(['unknown_status', 'contradicts_outcome', 'order_closed'])
  .describe(
    '`unknown_status`: the shop does not know the status. `contradicts_outcome`: the order was already closed with another outcome; for example, it was refunded and the parcel is delivered. `order_closed`: the order was already closed, and the report fits its outcome.',
  );

export const unhandledReport = z
  .object({
    webhookId: z.string(),
    orderId: z.string(),
    shipmentId: z.string(),
    status: z.string(),
    reason: unhandledReportReason,
    receivedAt: time,
  })
  .meta({ id: 'UnhandledShipmentReport', description: 'A carrier report that no order processed.' });

export const unhandledReportQuery = pageQuery.extend({ reason: unhandledReportReason.optional() });

export const unhandledReportList = pageOf(unhandledReport).meta({
  id: 'UnhandledShipmentReportList',
  description: 'A page of carrier reports that no order processed, newest first.',
});

export type UnhandledReportReason = z.infer<typeof unhandledReportReason>;
export type UnhandledReport = z.infer<typeof unhandledReport>;
