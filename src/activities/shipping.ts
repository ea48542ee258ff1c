import { rejectionFailure } from '../failures/rejections.js';
import { shipmentStatus } from '../schemas/order.js';
import type { OrderLine, ShipmentReport } from '../schemas/order.js';
import type { Store } from '../store/index.js';
import type { CancellationStatus, Carrier } from './carrier.js';
import { assertStockHeld } from './orders.js';

export interface RequestShipmentInput {
  orderId: string;
  /** The first run id of the order's execution. */
  firstRunId: string;
  lines: OrderLine[];
}

export interface ShippingSettings {
  carrier: Carrier;
  store: Pick<Store, 'recordStageIfStockHeld'>;
}

export function createShippingActivities({ carrier, store }: ShippingSettings) {
  return {
    /**
     * Requests the shipment of an order once.
     *
     * @throws `ReservationReleased` when the order's stock is no longer held, and the failures of
     * `Carrier.requestShipment`.
     */
    async requestShipment({ orderId, firstRunId, lines }: RequestShipmentInput): Promise<{ shipmentId: string }> {
      const placedAt = await assertStockHeld(store, { orderId, firstRunId }, 'awaiting_pickup');
      return await carrier.requestShipment({ orderId, lines, placedAt });
    },

    /**
     * Cancels the shipment of an order before the pickup, or voids an order that has no shipment. After the pickup,
     * returns `already_picked_up` instead of throwing, because the caller handles this case.
     */
    async cancelShipment({ orderId }: { orderId: string }): Promise<{ status: CancellationStatus }> {
      return await carrier.cancelShipment({ orderId });
    },

    /**
     * Polls the carrier for the status of an order's parcel. The status `cancelled` is final, no matter whether the
     * shop or the carrier cancelled the shipment.
     *
     * @returns the status as a report, or undefined when the carrier has never had a shipment of this order.
     * @throws `UnknownShipmentStatus`, which ends this poll without a retry. A later poll may return a known status.
     */
    async trackShipment({ orderId }: { orderId: string }): Promise<ShipmentReport | undefined> {
      const shipment = await carrier.findShipment(orderId);
      if (!shipment) return undefined;
      const status = shipmentStatus.safeParse(shipment.status);
      if (!status.success) {
        const message = `the carrier returned the unknown status "${shipment.status}"`;
        throw rejectionFailure('UnknownShipmentStatus', message);
      }
      return { orderId, shipmentId: shipment.shipmentId, status: status.data };
    },
  };
}
