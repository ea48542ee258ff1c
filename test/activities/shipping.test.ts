import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../../dev/ports.js';
import { createShippingActivities } from '../../src/activities/shipping.js';
import { runActivity } from '../support/activity-environment.js';
import { heldStock, owner } from '../support/held-stock.js';
import { startOutsideWorld, type OutsideWorld } from '../support/outside-world.js';

const lines = [{ sku: 'MUG', quantity: 2 }];

let outside: OutsideWorld;
beforeAll(async () => {
  outside = await startOutsideWorld();
});
afterAll(async () => {
  await outside.close();
});

function request(orderId: string) {
  return runActivity(createShippingActivities({ ...outside, store: heldStock }).requestShipment, {
    orderId,
    owner,
    lines,
  });
}

function cancel(orderId: string) {
  return runActivity(createShippingActivities({ ...outside, store: heldStock }).cancelShipment, { orderId });
}

describe('requestShipment', () => {
  test('when the carrier accepts, then the parcel has these lines', async () => {
    const orderId = randomUUID();
    const { shipmentId } = await request(orderId);

    expect(outside.statement(orderId).shipments).toMatchObject([{ shipmentId, status: 'accepted', lines }]);
  });
});

describe('cancelShipment', () => {
  test('when the parcel is not picked up, then it is called back', async () => {
    const orderId = randomUUID();
    await request(orderId);

    expect(await cancel(orderId)).toEqual({ status: 'cancelled' });
    expect(outside.statement(orderId).shipments).toMatchObject([{ status: 'cancelled' }]);
  });

  test('when it was never requested, then a request that comes later is refused, for good', async () => {
    const orderId = randomUUID();

    expect(await cancel(orderId)).toEqual({ status: 'voided' });
    await expect(request(orderId)).rejects.toMatchObject({ type: 'ShipmentCancelled', nonRetryable: true });
    expect(outside.statement(orderId).shipments).toEqual([]);
  });

  test.each(['in_transit', 'delivered', 'lost'] as const)(
    'when the parcel is %s, then that is an answer and no failure',
    async (status) => {
      const orderId = randomUUID();
      await request(orderId);
      await outside.carrier.reportNow(orderId, status);

      expect(await cancel(orderId)).toEqual({ status: 'already_picked_up' });
      expect(outside.statement(orderId).shipments).toMatchObject([{ status }]);
    },
  );
});

describe('trackShipment', () => {
  function track(orderId: string, carrierUrl = outside.carrierUrl) {
    return runActivity(createShippingActivities({ carrierUrl, store: heldStock }).trackShipment, { orderId });
  }

  test.each(['accepted', 'in_transit', 'delivered', 'lost'] as const)(
    'when the parcel is %s, then it is told as the carrier would report it',
    async (status) => {
      const orderId = randomUUID();
      const { shipmentId } = await request(orderId);
      await outside.carrier.reportNow(orderId, status);

      expect(await track(orderId)).toEqual({ orderId, shipmentId, status });
    },
  );

  test('when there is no parcel, or it was called back, then there is nothing to tell', async () => {
    const [unknown, cancelled] = [randomUUID(), randomUUID()];
    await request(cancelled);
    await cancel(cancelled);

    expect([await track(unknown), await track(cancelled)]).toEqual([undefined, undefined]);
  });

  test('when the carrier is away, then it can be retried', async () => {
    const nowhere = `http://127.0.0.1:${await freePort()}`;

    await expect(track(randomUUID(), nowhere)).rejects.toMatchObject({
      type: 'CarrierUnavailable',
      nonRetryable: false,
    });
  });
});
