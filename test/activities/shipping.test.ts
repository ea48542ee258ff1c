import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { createShippingActivities } from '../../src/activities/shipping.js';
import { freePort } from '../support/processes.js';
import { runActivity } from '../support/workers/activity-environment.js';
import { createTestCarrier } from '../support/shop/carrier.js';
import { stubStockHeldSince, OWNER_RUN_ID } from '../support/shop/stock-stubs.js';
import { expireIdempotencyKeys, startFakes, type RunningFakes } from '../support/fakes/running-fakes.js';

const lines = [{ sku: 'MUG', quantity: 2 }];

let fakes: RunningFakes;
beforeAll(async () => {
  fakes = await startFakes();
});
afterAll(async () => {
  await fakes.close();
});

const HOUR_MS = 3_600_000;

const createActivitiesForAge = ({ hoursAgo = 0, carrierUrl = fakes.carrierUrl } = {}) =>
  createShippingActivities({
    carrier: createTestCarrier({ carrierUrl }),
    store: stubStockHeldSince(new Date(Date.now() - hoursAgo * HOUR_MS)),
  });

function requestShipment(orderId: string, { hoursAgo = 0 } = {}) {
  return runActivity(createActivitiesForAge({ hoursAgo }).requestShipment, {
    orderId,
    firstRunId: OWNER_RUN_ID,
    lines,
  });
}

function cancelShipment(orderId: string) {
  return runActivity(createActivitiesForAge().cancelShipment, { orderId });
}

describe('requestShipment', () => {
  test('requests a shipment with the lines of the order', async () => {
    const orderId = randomUUID();
    const { shipmentId } = await requestShipment(orderId);

    expect(fakes.records(orderId).shipments).toMatchObject([{ shipmentId, status: 'accepted', lines }]);
  });

  test("ships an order once, even when the order is older than the carrier's idempotency keys", async () => {
    const orderId = randomUUID();
    expireIdempotencyKeys(fakes);
    const first = await requestShipment(orderId);

    expect(await requestShipment(orderId, { hoursAgo: 24 })).toEqual(first);
    expect(fakes.records(orderId).shipments).toHaveLength(1);
  });

  test('requests a shipment for an old order that the carrier does not know', async () => {
    const orderId = randomUUID();
    await requestShipment(orderId, { hoursAgo: 24 });

    expect(fakes.records(orderId).shipments).toMatchObject([{ status: 'accepted' }]);
  });

  test('requestShipment fails when the shipment of an old order was cancelled', async () => {
    const orderId = randomUUID();
    await requestShipment(orderId);
    await fakes.carrier.reportNow(orderId, 'cancelled');

    await expect(requestShipment(orderId, { hoursAgo: 24 })).rejects.toMatchObject({
      type: 'ShipmentCancelled',
      nonRetryable: true,
    });
    expect(fakes.records(orderId).shipments).toHaveLength(1);
  });
});

describe('cancelShipment', () => {
  test('cancels a parcel before its pickup', async () => {
    const orderId = randomUUID();
    await requestShipment(orderId);

    expect(await cancelShipment(orderId)).toEqual({ status: 'cancelled' });
    expect(fakes.records(orderId).shipments).toMatchObject([{ status: 'cancelled' }]);
  });

  test('a cancellation without a shipment voids the order, so that a later shipment request fails permanently', async () => {
    const orderId = randomUUID();

    expect(await cancelShipment(orderId)).toEqual({ status: 'voided' });
    await expect(requestShipment(orderId)).rejects.toMatchObject({ type: 'ShipmentCancelled', nonRetryable: true });
    expect(fakes.records(orderId).shipments).toEqual([]);
  });

  test.each(['in_transit', 'delivered', 'lost'] as const)(
    'a cancellation returns already_picked_up when the parcel is %s',
    async (status) => {
      const orderId = randomUUID();
      await requestShipment(orderId);
      await fakes.carrier.reportNow(orderId, status);

      expect(await cancelShipment(orderId)).toEqual({ status: 'already_picked_up' });
      expect(fakes.records(orderId).shipments).toMatchObject([{ status }]);
    },
  );

  test('cancels a shipment once, even when the carrier no longer has its idempotency key', async () => {
    const orderId = randomUUID();
    await requestShipment(orderId);
    expireIdempotencyKeys(fakes);

    expect([await cancelShipment(orderId), await cancelShipment(orderId)]).toEqual([
      { status: 'cancelled' },
      { status: 'cancelled' },
    ]);
    expect(fakes.records(orderId)).toMatchObject({
      shipments: [{ status: 'cancelled' }],
      cancellations: [{ status: 'cancelled' }],
    });
  });

  test('a shipment request after a cancellation fails even when the carrier has expired its idempotency keys', async () => {
    const orderId = randomUUID();
    expireIdempotencyKeys(fakes);

    expect(await cancelShipment(orderId)).toEqual({ status: 'voided' });
    await expect(requestShipment(orderId)).rejects.toMatchObject({ type: 'ShipmentCancelled' });
    expect(fakes.records(orderId).shipments).toEqual([]);
  });
});

describe('trackShipment', () => {
  function track(orderId: string, carrierUrl = fakes.carrierUrl) {
    return runActivity(createActivitiesForAge({ carrierUrl }).trackShipment, { orderId });
  }

  test.each(['accepted', 'in_transit', 'delivered', 'lost', 'cancelled'] as const)(
    'trackShipment reports the status of a parcel that is %s',
    async (status) => {
      const orderId = randomUUID();
      const { shipmentId } = await requestShipment(orderId);
      await fakes.carrier.reportNow(orderId, status);

      expect(await track(orderId)).toEqual({ orderId, shipmentId, status });
    },
  );

  test('trackShipment distinguishes a cancelled shipment from an order without a shipment', async () => {
    const [unknown, cancelled, voided] = [randomUUID(), randomUUID(), randomUUID()];
    await requestShipment(cancelled);
    await cancelShipment(cancelled);
    await cancelShipment(voided);

    expect([await track(unknown), await track(voided)]).toEqual([undefined, undefined]);
    expect(await track(cancelled)).toMatchObject({ status: 'cancelled' });
  });

  test('trackShipment finds a parcel when the carrier no longer has the idempotency key', async () => {
    const orderId = randomUUID();
    const { shipmentId } = await requestShipment(orderId);
    expireIdempotencyKeys(fakes);

    expect(await track(orderId)).toEqual({ orderId, shipmentId, status: 'accepted' });
  });

  test('fails with UnknownShipmentStatus when the carrier returns an unknown status', async () => {
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
      message: 'the carrier returned the unknown status "out_for_delivery"',
    });
  });

  test('fails with a retryable error when the carrier is unavailable', async () => {
    const nowhere = `http://127.0.0.1:${await freePort()}`;

    await expect(track(randomUUID(), nowhere)).rejects.toMatchObject({
      type: 'CarrierUnavailable',
      nonRetryable: false,
    });
  });
});
