import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../tools/processes/ports.js';
import { createShippingActivities } from '../../src/activities/shipping.js';
import { runActivity } from '../support/activity-environment.js';
import { heldSince, KEY_RETENTION, owner } from '../support/held-stock.js';
import { startOutsideWorld, type OutsideWorld } from '../support/outside-world.js';

const lines = [{ sku: 'MUG', quantity: 2 }];

let outside: OutsideWorld;
beforeAll(async () => {
  outside = await startOutsideWorld();
});
afterAll(async () => {
  await outside.close();
});

const HOUR_MS = 3_600_000;

const activitiesOf = ({ hoursAgo = 0, carrierUrl = outside.carrierUrl } = {}) =>
  createShippingActivities({
    carrierUrl,
    ...KEY_RETENTION,
    store: heldSince(new Date(Date.now() - hoursAgo * HOUR_MS)),
  });

function request(orderId: string, { hoursAgo = 0 } = {}) {
  return runActivity(activitiesOf({ hoursAgo }).requestShipment, { orderId, owner, lines });
}

function cancel(orderId: string) {
  return runActivity(activitiesOf().cancelShipment, { orderId });
}

/** Makes the carrier forget each idempotency key at once. */
function forgetKeys(): void {
  outside.keys.retentionSeconds = 0;
  onTestFinished(() => void (outside.keys.retentionSeconds = null));
}

describe('requestShipment', () => {
  test('requests a shipment with the lines of the order', async () => {
    const orderId = randomUUID();
    const { shipmentId } = await request(orderId);

    expect(outside.statement(orderId).shipments).toMatchObject([{ shipmentId, status: 'accepted', lines }]);
  });

  test("finds the shipment of an order that is older than the carrier's key retention, and ships once", async () => {
    const orderId = randomUUID();
    forgetKeys();
    const first = await request(orderId);

    expect(await request(orderId, { hoursAgo: 24 })).toEqual(first);
    expect(outside.statement(orderId).shipments).toHaveLength(1);
  });

  test('ships an old order that is unknown to the carrier', async () => {
    const orderId = randomUUID();
    await request(orderId, { hoursAgo: 24 });

    expect(outside.statement(orderId).shipments).toMatchObject([{ status: 'accepted' }]);
  });

  test('fails if the shipment of an old order was cancelled', async () => {
    const orderId = randomUUID();
    await request(orderId);
    await outside.carrier.reportNow(orderId, 'cancelled');

    await expect(request(orderId, { hoursAgo: 24 })).rejects.toMatchObject({
      type: 'ShipmentCancelled',
      nonRetryable: true,
    });
    expect(outside.statement(orderId).shipments).toHaveLength(1);
  });
});

describe('cancelShipment', () => {
  test('cancels a parcel before its pickup', async () => {
    const orderId = randomUUID();
    await request(orderId);

    expect(await cancel(orderId)).toEqual({ status: 'cancelled' });
    expect(outside.statement(orderId).shipments).toMatchObject([{ status: 'cancelled' }]);
  });

  test('voids an order without a shipment, so that a later request fails permanently', async () => {
    const orderId = randomUUID();

    expect(await cancel(orderId)).toEqual({ status: 'voided' });
    await expect(request(orderId)).rejects.toMatchObject({ type: 'ShipmentCancelled', nonRetryable: true });
    expect(outside.statement(orderId).shipments).toEqual([]);
  });

  test.each(['in_transit', 'delivered', 'lost'] as const)(
    'returns already_picked_up for a parcel that is %s',
    async (status) => {
      const orderId = randomUUID();
      await request(orderId);
      await outside.carrier.reportNow(orderId, status);

      expect(await cancel(orderId)).toEqual({ status: 'already_picked_up' });
      expect(outside.statement(orderId).shipments).toMatchObject([{ status }]);
    },
  );

  test('cancels a shipment whose key the carrier forgot, once', async () => {
    const orderId = randomUUID();
    await request(orderId);
    forgetKeys();

    expect([await cancel(orderId), await cancel(orderId)]).toEqual([{ status: 'cancelled' }, { status: 'cancelled' }]);
    expect(outside.statement(orderId)).toMatchObject({
      shipments: [{ status: 'cancelled' }],
      cancellations: [{ status: 'cancelled' }],
    });
  });

  test('rejects a shipment request after the cancellation, even if the carrier forgets its keys', async () => {
    const orderId = randomUUID();
    forgetKeys();

    expect(await cancel(orderId)).toEqual({ status: 'voided' });
    await expect(request(orderId)).rejects.toMatchObject({ type: 'ShipmentCancelled' });
    expect(outside.statement(orderId).shipments).toEqual([]);
  });
});

describe('trackShipment', () => {
  function track(orderId: string, carrierUrl = outside.carrierUrl) {
    return runActivity(activitiesOf({ carrierUrl }).trackShipment, { orderId });
  }

  test.each(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled'] as const)(
    'returns a parcel that is %s as a report',
    async (status) => {
      const orderId = randomUUID();
      const { shipmentId } = await request(orderId);
      await outside.carrier.reportNow(orderId, status);

      expect(await track(orderId)).toEqual({ orderId, shipmentId, status });
    },
  );

  test('distinguishes a cancelled shipment from an order without a shipment', async () => {
    const [unknown, cancelled, voided] = [randomUUID(), randomUUID(), randomUUID()];
    await request(cancelled);
    await cancel(cancelled);
    await cancel(voided);

    expect([await track(unknown), await track(voided)]).toEqual([undefined, undefined]);
    expect(await track(cancelled)).toMatchObject({ status: 'cancelled' });
  });

  test('finds a parcel long after the carrier forgot the key', async () => {
    const orderId = randomUUID();
    const { shipmentId } = await request(orderId);
    forgetKeys();

    expect(await track(orderId)).toEqual({ orderId, shipmentId, status: 'accepted' });
  });

  test('fails with UnknownShipmentStatus when the carrier uses a new status', async () => {
    const status = 'out_for_delivery';
    const server = createServer((_request, response) => response.end(JSON.stringify({ shipmentId: 'sh_1', status })));
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');

    await expect(track('A1', `http://127.0.0.1:${(server.address() as AddressInfo).port}`)).rejects.toMatchObject({
      type: 'UnknownShipmentStatus',
      nonRetryable: true,
      message: 'the carrier answered with the status "out_for_delivery"',
    });
  });

  test('fails with a retryable error if the carrier is unavailable', async () => {
    const nowhere = `http://127.0.0.1:${await freePort()}`;

    await expect(track(randomUUID(), nowhere)).rejects.toMatchObject({
      type: 'CarrierUnavailable',
      nonRetryable: false,
    });
  });
});
