import { z } from 'zod';
import { orderId, shipmentId, shipmentStatus } from './order.js';
import { pageOf } from './shared/page.js';
import { text, time } from './shared/primitives.js';

/** A carrier may add fields and statuses without notice. Unknown fields are dropped; unknown statuses are recorded. */
export const shipmentCallback = z
  .object({
    orderId,
    shipmentId,
    status: text(100).meta({
      description: `One of ${shipmentStatus.options.join(', ')}. Any other status is recorded and has no effect.`,
      examples: ['in_transit'],
    }),
  })
  .meta({ id: 'ShipmentReport', description: 'What the carrier reports about a parcel. Unknown fields are ignored.' });

export const unhandledReportReason = z
  .enum(['unknown_status', 'contradicts_outcome', 'order_closed'])
  .describe(
    '`unknown_status`: the shop does not know the status. `contradicts_outcome`: the order had ended with another outcome, for example it was refunded and the parcel is delivered. `order_closed`: the order had ended, and the report fits its outcome.',
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
  .meta({ id: 'UnhandledShipmentReport', description: 'A report of the carrier that no order acted on.' });

export const unhandledReportList = pageOf(unhandledReport).meta({
  id: 'UnhandledShipmentReportList',
  description: 'A page of reports that no order acted on, newest first.',
});

export type ShipmentCallback = z.infer<typeof shipmentCallback>;
export type UnhandledReportReason = z.infer<typeof unhandledReportReason>;
export type UnhandledReport = z.infer<typeof unhandledReport>;
