import { z } from 'zod';
import { shipmentId as knownShipmentId, shipmentStatus } from '../schemas/order.js';
import type { OrderLine, ShipmentReport } from '../schemas/order.js';
import { text } from '../schemas/text.js';
import type { Store } from '../store/index.js';
import { refused } from './failures.js';
import { mayBeForgotten } from './key-age.js';
import { assertStockHeld } from './orders.js';
import { askOutside, callOutside } from './outside.js';

export interface RequestShipment {
  orderId: string;
  /** The first run id of the order's execution. */
  owner: string;
  lines: OrderLine[];
}

const shipment = z.object({ shipmentId: knownShipmentId });

const tracking = shipment.extend({ status: text(100) });

const cancellation = z.object({ status: z.enum(['cancelled', 'voided', 'already_picked_up']) });

const shipmentKey = (orderId: string) => `order:${orderId}:shipment`;
const cancellationKey = (orderId: string) => `order:${orderId}:shipment-cancellation`;

export interface ShippingSettings {
  /** Base URL of the carrier. */
  carrierUrl: string;
  /** How long the carrier remembers an idempotency key. */
  carrierKeyRetentionHours: number;
  store: Pick<Store, 'stockHeldSince'>;
}

export function createShippingActivities({ carrierUrl, carrierKeyRetentionHours, store }: ShippingSettings) {
  const system = 'Carrier';

  /** The parcel of an order by the order id, or undefined when the carrier has never had one. */
  async function findShipment(orderId: string): Promise<z.infer<typeof tracking> | undefined> {
    return await askOutside({
      system,
      url: `${carrierUrl}/shipments/${encodeURIComponent(orderId)}`,
      answer: tracking,
      refusals: { unknown_shipment: () => undefined },
    });
  }

  return {
    /**
     * Hands an order to the carrier once. The carrier deduplicates by key for a limited time, so an older order is first
     * looked up by its id.
     *
     * @throws `ShipmentCancelled` when the shipment was already cancelled, `ReservationReleased` when the stock of the order
     * is not held any more, and the failures of `callOutside`.
     */
    async requestShipment({ orderId, owner, lines }: RequestShipment): Promise<{ shipmentId: string }> {
      const placedAt = await assertStockHeld(store, { orderId, owner }, 'awaiting_pickup');
      if (mayBeForgotten(placedAt, carrierKeyRetentionHours)) {
        const found = await findShipment(orderId);
        if (found?.status === 'cancelled') throw refused('ShipmentCancelled', 'the shipment was cancelled');
        if (found) return { shipmentId: found.shipmentId };
      }
      const { shipmentId } = await callOutside({
        system,
        url: `${carrierUrl}/shipments`,
        idempotencyKey: shipmentKey(orderId),
        body: { orderId, lines },
        answer: shipment,
        refusals: { shipment_cancelled: (message) => refused('ShipmentCancelled', message) },
      });
      return { shipmentId };
    },

    /**
     * Cancels the shipment of an order before the carrier picks it up. The carrier finds it by the order id. If there was
     * no shipment, the carrier rejects a request that arrives later. `already_picked_up` is an answer, not a failure: the
     * caller decides what follows.
     */
    async cancelShipment({ orderId }: { orderId: string }): Promise<z.infer<typeof cancellation>> {
      return await callOutside({
        system,
        url: `${carrierUrl}/cancellations`,
        idempotencyKey: cancellationKey(orderId),
        body: { orderId },
        answer: cancellation,
        refusals: { already_picked_up: () => ({ status: 'already_picked_up' as const }) },
      });
    },

    /**
     * Asks the carrier for the status of an order's parcel, and returns it in the form of a report. `cancelled` is final,
     * whoever cancelled. Returns undefined when the carrier has never had a parcel of this order.
     *
     * @throws `UnknownShipmentStatus`, which is final for this attempt to ask: a later answer may be known again.
     */
    async trackShipment({ orderId }: { orderId: string }): Promise<ShipmentReport | undefined> {
      const found = await findShipment(orderId);
      if (!found) return undefined;
      const status = shipmentStatus.safeParse(found.status);
      if (!status.success)
        throw refused('UnknownShipmentStatus', `the carrier answered with the status "${found.status}"`);
      return { orderId, shipmentId: found.shipmentId, status: status.data };
    },
  };
}
