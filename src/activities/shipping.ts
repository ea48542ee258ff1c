import { z } from 'zod';
import type { OrderLine, ShipmentReport } from '../schemas/order.js';
import type { Store } from '../store/index.js';
import { refused } from './failures.js';
import { assertStockHeld } from './orders.js';
import { askOutside, callOutside } from './outside.js';

const shipment = z.object({ shipmentId: z.string() });

const whereabouts = z.object({
  shipmentId: z.string(),
  status: z.enum(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled']),
});

const cancellation = z.object({ status: z.enum(['cancelled', 'voided', 'already_picked_up']) });

const shipmentKey = (orderId: string) => `order:${orderId}:shipment`;
const cancellationKey = (orderId: string) => `order:${orderId}:shipment-cancellation`;

export function createShippingActivities({
  carrierUrl,
  store,
}: {
  carrierUrl: string;
  store: Pick<Store, 'holdsStock'>;
}) {
  const system = 'Carrier';
  return {
    /**
     * Hands an order to the carrier, once.
     *
     * @throws `ShipmentCancelled` when the order was already undone; `CarrierUnavailable` is retried.
     */
    async requestShipment({
      orderId,
      owner,
      lines,
    }: {
      orderId: string;
      /** The first run id of the order's execution. */
      owner: string;
      lines: OrderLine[];
    }): Promise<{ shipmentId: string }> {
      await assertStockHeld(store, { orderId, owner }, 'awaiting_pickup');
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
     * Calls a parcel back before the carrier picks it up. Safe when it was never requested: a request that arrives later
     * is refused. `already_picked_up` is an answer, not a failure: the caller decides what it means.
     */
    async cancelShipment({ orderId }: { orderId: string }): Promise<z.infer<typeof cancellation>> {
      return await callOutside({
        system,
        url: `${carrierUrl}/cancellations`,
        idempotencyKey: cancellationKey(orderId),
        body: { orderId, shipmentKey: shipmentKey(orderId) },
        answer: cancellation,
        refusals: { already_picked_up: () => ({ status: 'already_picked_up' as const }) },
      });
    },

    /**
     * Asks the carrier where a parcel is, and tells it as his report would. `undefined`: he has never had one of this
     * order, or it was called back.
     */
    async trackShipment({ orderId }: { orderId: string }): Promise<ShipmentReport | undefined> {
      const { shipmentId, status } = await askOutside({
        system,
        url: `${carrierUrl}/shipments/${encodeURIComponent(shipmentKey(orderId))}`,
        answer: whereabouts,
        refusals: { unknown_shipment: () => ({ shipmentId: '', status: 'cancelled' as const }) },
      });
      return status === 'cancelled' ? undefined : { orderId, shipmentId, status };
    },
  };
}
