import type { OrderStatus } from '../../schemas/order.js';
import { shipmentStatus } from '../../schemas/order.js';
import type { ShipmentCallback, UnhandledReportReason, UnhandledReport } from '../../schemas/shipment-reports.js';
import type { Store } from '../../store/index.js';
import type { Page, PageRequest } from '../executions/listing.js';

/** Whether the order workflow knows this status. */
export const isKnownStatus = (status: string): boolean => shipmentStatus.safeParse(status).success;

/** Why an order that has ended did not act on a report. A terminated order has no outcome, only a last status. */
export function unhandledReasonFor(
  { status }: ShipmentCallback,
  outcome: OrderStatus | undefined,
): Exclude<UnhandledReportReason, 'unknown_status'> {
  const contradicts = outcome === 'completed' ? ['lost', 'cancelled'] : ['in_transit', 'delivered'];
  return contradicts.includes(status) ? 'contradicts_outcome' : 'order_closed';
}

/** A page of the reports that no order acted on, newest first. */
export async function listUnhandledReports(
  store: Store,
  filter: { reason?: UnhandledReportReason | undefined },
  { limit, position }: PageRequest,
): Promise<Page<UnhandledReport>> {
  const rows = await store.listUnhandledReports({
    ...filter,
    limit,
    ...(position && { before: decodePosition(position) }),
  });
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    items: rows.map(({ number: _number, ...report }) => report),
    ...(last && { nextPosition: Buffer.from(last.number) }),
  };
}

const decodePosition = (place: Uint8Array): string => Buffer.from(place).toString();
