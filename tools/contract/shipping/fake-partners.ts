import { Webhook } from 'standardwebhooks';
import { createPlainCarrier } from '../../../src/activities/external/carriers/plain.js';
import { buildFakes } from '../../fakes/app.js';
import type { CarrierPartner } from './partner.js';

const WEBHOOK_SECRET = `whsec_${Buffer.from('the secret of the fake carrier 1').toString('base64')}`;

/** Starts the fake carrier for the plain adapter. */
export async function startPlainCarrierPartner(): Promise<CarrierPartner & { url: string }> {
  const fakes = buildFakes({ autoDeliver: false });
  const url = `${await fakes.app.listen({ host: '127.0.0.1', port: 0 })}/carrier`;
  return {
    name: 'plain (the fake carrier)',
    url,
    createCarrier: () => createPlainCarrier({ url, keyRetentionHours: 24 }),
    lines: [{ sku: 'MUG', quantity: 2 }],
    countParcels: async (orderId) => {
      const { shipments } = fakes.records(orderId);
      const cancelled = shipments.filter(({ status }) => status === 'cancelled').length;
      return { open: shipments.length - cancelled, cancelled };
    },
    loseNextResponse: async (on, orderId) => fakes.faults.add({ on, orderId, fault: 'lose-response' }),
    garbleNextResponse: async (on, orderId) => fakes.faults.add({ on, orderId, fault: 'malformed' }),
    failNextRequest: async (on, orderId, response) => fakes.faults.add({ on, orderId, fault: 'error', ...response }),
    holdShipment: async (orderId) => fakes.hold('shipment', orderId, { waitBefore: 'effect' }),
    expireKeys: async (orderId) => fakes.idempotencyKeys.expire(orderId),
    pickUp: async (orderId) => void (await fakes.carrier.reportNow(orderId, 'in_transit')),
    reports: {
      secrets: [WEBHOOK_SECRET],
      sign: (report, { messageId, sentAt, secret = WEBHOOK_SECRET }) => {
        const body = JSON.stringify(report);
        return {
          body,
          headers: {
            'webhook-id': messageId,
            'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1_000)),
            'webhook-signature': new Webhook(secret).sign(messageId, sentAt, body),
          },
        };
      },
    },
    close: fakes.close,
  };
}
