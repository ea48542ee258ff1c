import { z } from 'zod';
import { rejectionFailure } from '../../../failures/rejections.js';
import { shipmentId } from '../../../schemas/order.js';
import { text } from '../../../schemas/shared/primitives.js';
import { orderWorkflowId } from '../../../workflows/order/contract.js';
import { CARRIER, type Carrier } from '../../carrier.js';
import { callExternalSystem, mayKeyHaveExpired, readExternalSystem } from '../external-calls.js';

const createdShipment = z.object({ shipmentId });

const foundShipment = createdShipment.extend({ status: text(100) });

const cancellation = z.object({ status: z.enum(['cancelled', 'voided', 'already_picked_up']) });

/** All attempts of a shipment request use the same idempotency key, and so do all attempts of a cancellation. */
const shipmentKey = (orderId: string) => `${orderWorkflowId(orderId)}:shipment`;
const cancellationKey = (orderId: string) => `${orderWorkflowId(orderId)}:shipment-cancellation`;

interface PlainCarrierSettings {
  /** Base URL of the carrier. */
  url: string;
  /** How long the carrier keeps an idempotency key. */
  keyRetentionHours: number;
}

/**
 * The adapter to a carrier with plain HTTP and JSON, such as the fake carrier. tools/fakes/README.md describes the
 * calls. The carrier finds shipments by order id. It keeps cancellations longer than keys, and it voids orders itself.
 */
export function createPlainCarrier({ url, keyRetentionHours }: PlainCarrierSettings): Carrier {
  const system = CARRIER;

  const findShipment: Carrier['findShipment'] = (orderId) =>
    readExternalSystem({
      system,
      url: `${url}/shipments/${encodeURIComponent(orderId)}`,
      responseSchema: foundShipment,
      rejectionHandlers: { unknown_shipment: () => undefined },
    });

  return {
    async requestShipment({ orderId, lines, placedAt }) {
      if (mayKeyHaveExpired(placedAt, keyRetentionHours)) {
        const existing = await findShipment(orderId);
        if (existing?.status === 'cancelled') throw rejectionFailure('ShipmentCancelled', 'the shipment was cancelled');
        if (existing) return { shipmentId: existing.shipmentId };
      }
      return await callExternalSystem({
        system,
        url: `${url}/shipments`,
        idempotencyKey: shipmentKey(orderId),
        body: { orderId, lines },
        responseSchema: createdShipment,
        rejectionHandlers: { shipment_cancelled: (message) => rejectionFailure('ShipmentCancelled', message) },
      });
    },

    async cancelShipment({ orderId }) {
      return await callExternalSystem({
        system,
        url: `${url}/cancellations`,
        idempotencyKey: cancellationKey(orderId),
        body: { orderId },
        responseSchema: cancellation,
        rejectionHandlers: { already_picked_up: () => ({ status: 'already_picked_up' as const }) },
      });
    },

    findShipment,
  };
}
