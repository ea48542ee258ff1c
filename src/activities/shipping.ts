import { z } from 'zod';
import { rejectionFailure } from '../failures/rejections.js';
import { shipmentId as shipmentIdSchema, shipmentStatus } from '../schemas/order.js';
import type { OrderLine, ShipmentReport } from '../schemas/order.js';
import { text } from '../schemas/shared/primitives.js';
import type { Store } from '../store/index.js';
import { orderWorkflowId } from '../workflows/order/contract.js';
import { assertStockHeld } from './orders.js';
import { callExternalSystem, mayKeyHaveExpired, readExternalSystem } from './external/external-calls.js';

export interface RequestShipmentInput {
  orderId: string;
  /** The first run id of the order's execution. */
  firstRunId: string;
  lines: OrderLine[];
}

const shipment = z.object({ shipmentId: shipmentIdSchema });

const tracking = shipment.extend({ status: text(100) });

const cancellation = z.object({ status: z.enum(['cancelled', 'voided', 'already_picked_up']) });

const shipmentKey = (orderId: string) => `${orderWorkflowId(orderId)}:shipment`;
const cancellationKey = (orderId: string) => `${orderWorkflowId(orderId)}:shipment-cancellation`;

export interface ShippingSettings {
  /** Base URL of the carrier. */
  carrierUrl: string;
  /** How long the carrier keeps an idempotency key. */
  carrierKeyRetentionHours: number;
  store: Pick<Store, 'recordStageIfStockHeld'>;
}

export function createShippingActivities({ carrierUrl, carrierKeyRetentionHours, store }: ShippingSettings) {
  const system = 'Carrier';

  /** Finds the parcel of an order. @returns undefined when the carrier has never had a shipment of this order. */
  async function findShipment(orderId: string): Promise<z.infer<typeof tracking> | undefined> {
    return await readExternalSystem({
      system,
      url: `${carrierUrl}/shipments/${encodeURIComponent(orderId)}`,
      responseSchema: tracking,
      rejectionHandlers: { unknown_shipment: () => undefined },
    });
  }

  return {
    /**
     * Requests the shipment of an order once. The carrier keeps idempotency keys for a limited time, so the shipment of
     * an older order is first looked up by order id.
     *
     * @throws `ShipmentCancelled` when the shipment was already cancelled; `ReservationReleased` when the order's stock
     * is no longer held; and the failures of `callExternalSystem`.
     */
    async requestShipment({ orderId, firstRunId, lines }: RequestShipmentInput): Promise<{ shipmentId: string }> {
      const placedAt = await assertStockHeld(store, { orderId, firstRunId }, 'awaiting_pickup');
      if (mayKeyHaveExpired(placedAt, carrierKeyRetentionHours)) {
        const found = await findShipment(orderId);
        if (found?.status === 'cancelled') throw rejectionFailure('ShipmentCancelled', 'the shipment was cancelled');
        if (found) return { shipmentId: found.shipmentId };
      }
      const { shipmentId } = await callExternalSystem({
        system,
        url: `${carrierUrl}/shipments`,
        idempotencyKey: shipmentKey(orderId),
        body: { orderId, lines },
        responseSchema: shipment,
        rejectionHandlers: { shipment_cancelled: (message) => rejectionFailure('ShipmentCancelled', message) },
      });
      return { shipmentId };
    },

    /**
     * Cancels the shipment of an order before pickup. The carrier finds the shipment by order id. If there was no
     * shipment, the carrier rejects a later shipment request. After pickup, returns `already_picked_up` instead of
     * throwing, because the caller handles this case.
     */
    async cancelShipment({ orderId }: { orderId: string }): Promise<z.infer<typeof cancellation>> {
      return await callExternalSystem({
        system,
        url: `${carrierUrl}/cancellations`,
        idempotencyKey: cancellationKey(orderId),
        body: { orderId },
        responseSchema: cancellation,
        rejectionHandlers: { already_picked_up: () => ({ status: 'already_picked_up' as const }) },
      });
    },

    /**
     * Polls the carrier for the status of an order's parcel. The status `cancelled` is final, no matter whether the
     * shop or the carrier cancelled the shipment.
     *
     * @returns the status as a report, or undefined when the carrier has never had a shipment of this order.
     * @throws `UnknownShipmentStatus`, which ends this poll without a retry. A later poll may return a known status.
     */
    async trackShipment({ orderId }: { orderId: string }): Promise<ShipmentReport | undefined> {
      const found = await findShipment(orderId);
      if (!found) return undefined;
      const status = shipmentStatus.safeParse(found.status);
      if (!status.success)
        throw rejectionFailure('UnknownShipmentStatus', `the carrier returned the unknown status "${found.status}"`);
      return { orderId, shipmentId: found.shipmentId, status: status.data };
    },
  };
}
