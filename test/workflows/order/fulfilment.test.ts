import { describe, expect, test } from 'vitest';
import { waitUntil } from '../../../tools/processes/wait.js';
import { orderStatusAttribute, customerIdAttribute } from '../../../src/workflows/order/contract.js';
import { anOrderId, describeOrders } from '../../support/order-shop.js';
import { aProduct } from '../../support/shop.js';
import type { ActivityName } from '../../support/watched-activities.js';

/** The limit for the history of an order that completes, with the carrier's callbacks. */
const MOST_EVENTS = 42;

const steps = ['reserveStock', 'chargePayment', 'requestShipment'] as const;
const fulfilled: ActivityName[] = [...steps, 'closeOrder'];

describeOrders('order fulfilment', (shop) => {
  describe('a completed order', () => {
    test('is charged once at catalogue prices and delivered', async () => {
      const products = [
        await aProduct(shop().store, { price: { value: 1250, currency: 'EUR' } }),
        await aProduct(shop().store, { price: { value: 990, currency: 'EUR' }, available: 3 }),
      ];
      const [mug, filter] = [products[0]!.sku, products[1]!.sku];
      const lines = [
        { sku: mug, quantity: 2 },
        { sku: filter, quantity: 1 },
        { sku: mug, quantity: 3 },
      ];
      const order = await shop().place({ products, lines });
      const { shipment } = await order.reached('awaiting_pickup');
      await order.carrierReports('in_transit', 'delivered');
      const view = await order.result();

      expect(view).toMatchObject({
        orderId: order.orderId,
        customerId: order.input.customerId,
        status: 'completed',
        stage: 'done',
        lines: [
          { sku: mug, name: 'A thing', quantity: 5, unitPrice: { value: 1250, currency: 'EUR' } },
          { sku: filter, name: 'A thing', quantity: 1, unitPrice: { value: 990, currency: 'EUR' } },
        ],
        total: { value: 7240, currency: 'EUR' },
        shipment: { shipmentId: shipment!.shipmentId, status: 'delivered' },
        compensations: [],
      });
      expect(view).not.toHaveProperty('reason');
      expect(view.steps.map(({ name, status }) => [name, status])).toEqual(steps.map((name) => [name, 'completed']));
      expect(await order.balance()).toEqual({ verdict: 'sold', charged: 7240, refunded: 0, parcels: ['delivered'] });
      expect(order.calls()).toEqual(['/payments/charges', '/carrier/shipments']);
      expect(order.done()).toEqual(fulfilled);
    });

    test(`has a history of at most ${MOST_EVENTS} events`, async () => {
      const order = await shop().place();
      await waitUntil(() => order.done().includes('requestShipment') || undefined, {
        what: 'the shipment',
        deadlineMs: 20_000,
      });
      await order.carrierReports('in_transit', 'delivered');
      await order.result();

      const events = await order.events();
      console.info(`an order that completes writes ${events.length} events`);
      expect(events.length).toBeLessThanOrEqual(MOST_EVENTS);
      expect(
        events.filter((event) => event === 'MarkerRecorded'),
        'local activities',
      ).toEqual([]);
      expect(
        events.filter((event) => event === 'ActivityTaskScheduled'),
        'regular activities',
      ).toHaveLength(4);
    });

    test('can be found by its status and customer', async () => {
      const order = await shop().place();
      await order.reached('awaiting_pickup');
      const open = await order.handle.describe();
      await order.carrierReports('delivered');
      await order.result();
      const closed = await order.handle.describe();

      expect(open.typedSearchAttributes.get(orderStatusAttribute)).toBe('processing');
      expect(open.typedSearchAttributes.get(customerIdAttribute)).toBe(order.input.customerId);
      expect(closed.typedSearchAttributes.get(orderStatusAttribute)).toBe('completed');
    });
  });

  describe('an activity with a lost response', () => {
    const sold = { verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] };

    test.each(fulfilled)(
      'is repeated with one effect if %s completes but the server does not learn of it',
      async (name) => {
        const orderId = anOrderId();
        shop().activities.loseAnswer(name, orderId);

        const order = await shop().place({ orderId });
        await order.reached('awaiting_pickup');
        await order.carrierReports('in_transit', 'delivered');
        const { status } = await order.result();

        expect(status).toBe('completed');
        expect(await order.balance()).toEqual(sold);
        expect(order.attempts(name)).toEqual(['answer lost', 'done']);
      },
    );

    test.each([
      ['chargePayment', 'charge', 'lose-answer', '/payments/charges'],
      ['chargePayment', 'charge', 'malformed', '/payments/charges'],
      ['requestShipment', 'shipment', 'lose-answer', '/carrier/shipments'],
      ['requestShipment', 'shipment', 'malformed', '/carrier/shipments'],
    ] as const)(
      "is repeated with the same key if the partner's response to %s is lost or malformed (%s: %s)",
      async (name, on, fault, path) => {
        const orderId = anOrderId();
        shop().outside.faults.add({ on, orderId, fault });

        const order = await shop().place({ orderId });
        await order.reached('awaiting_pickup');
        await order.carrierReports('in_transit', 'delivered');
        const { status } = await order.result();

        expect(status).toBe('completed');
        expect(await order.balance()).toEqual(sold);
        expect(order.attempts(name)).toEqual(['failed', 'done']);
        expect(order.calls().filter((call) => call === path)).toHaveLength(2);
      },
    );
  });

  describe('two orders for the last piece', () => {
    test('end with one completed and one rejected', async () => {
      const products = [await aProduct(shop().store, { available: 1 })];
      const lines = [{ sku: products[0]!.sku, quantity: 1 }];
      const both = await Promise.all([shop().place({ products, lines }), shop().place({ products, lines })]);
      const loser = await waitUntil(
        async () => {
          const descriptions = await Promise.all(both.map((order) => order.handle.describe()));
          return both[descriptions.findIndex(({ status }) => status.name !== 'RUNNING')];
        },
        { what: 'the end of one of two orders', deadlineMs: 20_000 },
      );
      const winner = both.find((order) => order !== loser)!;
      await winner.reached('awaiting_pickup');
      await winner.carrierReports('delivered');

      expect(await winner.result()).toMatchObject({ status: 'completed' });
      expect(await loser.result()).toMatchObject({ status: 'rejected', reason: { type: 'OutOfStock' } });
      expect(await winner.balance()).toMatchObject({ verdict: 'sold', charged: 1250 });
      expect(await loser.balance({ others: 1 })).toMatchObject({ verdict: 'undone', charged: 0 });
    });
  });
});
