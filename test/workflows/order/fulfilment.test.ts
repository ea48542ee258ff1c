import { describe, expect, test } from 'vitest';
import { orderStatusAttribute, customerIdAttribute } from '../../../src/workflows/order/contract.js';
import { waitUntil } from '../../support/processes.js';
import { newOrderId, describeWithOrderShop } from '../../support/shop/order-shop.js';
import { addProduct } from '../../support/shop/shop.js';
import type { ActivityName } from '../../support/shop/activity-spy.js';

/** Maximum number of history events of an order that completes. The carrier's callbacks are included. */
const MAX_EVENTS = 42;

const steps = ['reserveStock', 'chargePayment', 'requestShipment'] as const;
const fulfilled: ActivityName[] = [...steps, 'closeOrder'];

describeWithOrderShop('order fulfilment', (shop) => {
  describe('a completed order', () => {
    test('charges an order once at catalogue prices and completes it after the delivery', async () => {
      const products = [
        await addProduct(shop().store, { price: { value: 1250, currency: 'EUR' } }),
        await addProduct(shop().store, { price: { value: 990, currency: 'EUR' }, available: 3 }),
      ];
      const [mug, filter] = [products[0]!.sku, products[1]!.sku];
      const lines = [
        { sku: mug, quantity: 2 },
        { sku: filter, quantity: 1 },
        { sku: mug, quantity: 3 },
      ];
      const order = await shop().placeOrder({ products, lines });
      const { shipment } = await order.waitForStage('awaiting_pickup');
      await order.sendCarrierReports('in_transit', 'delivered');
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
      expect(order.partnerRequests()).toEqual(['/payments/charges', '/carrier/shipments']);
      expect(order.completedActivities()).toEqual(fulfilled);
    });

    test(`the history of a completed order has at most ${MAX_EVENTS} events`, async () => {
      const order = await shop().placeOrder();
      await waitUntil(() => order.completedActivities().includes('requestShipment') || undefined, {
        description: 'the shipment',
        timeoutMs: 20_000,
      });
      await order.sendCarrierReports('in_transit', 'delivered');
      await order.result();

      const events = await order.eventTypes();
      console.info(`an order that completes writes ${events.length} events`);
      expect(events.length).toBeLessThanOrEqual(MAX_EVENTS);
      expect(
        events.filter((event) => event === 'MarkerRecorded'),
        'local activities',
      ).toEqual([]);
      expect(
        events.filter((event) => event === 'ActivityTaskScheduled'),
        'regular activities',
      ).toHaveLength(4);
    });

    test('the search attributes of an order contain its status and its customer', async () => {
      const order = await shop().placeOrder();
      await order.waitForStage('awaiting_pickup');
      const open = await order.handle.describe();
      await order.sendCarrierReports('delivered');
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
      'if the completion of %s does not reach the server, the activity runs again and has only one effect',
      async (name) => {
        const orderId = newOrderId();
        shop().activities.failAfterEffect(name, orderId);

        const order = await shop().placeOrder({ orderId });
        await order.waitForStage('awaiting_pickup');
        await order.sendCarrierReports('in_transit', 'delivered');
        const { status } = await order.result();

        expect(status).toBe('completed');
        expect(await order.balance()).toEqual(sold);
        expect(order.attemptOutcomes(name)).toEqual(['response lost', 'done']);
      },
    );

    test.each([
      ['chargePayment', 'charge', 'lose-response', '/payments/charges'],
      ['chargePayment', 'charge', 'malformed', '/payments/charges'],
      ['requestShipment', 'shipment', 'lose-response', '/carrier/shipments'],
      ['requestShipment', 'shipment', 'malformed', '/carrier/shipments'],
    ] as const)(
      "repeats the call with the same key if the partner's response to %s is lost or malformed (%s: %s)",
      async (name, on, fault, path) => {
        const orderId = newOrderId();
        shop().fakes.faults.add({ on, orderId, fault });

        const order = await shop().placeOrder({ orderId });
        await order.waitForStage('awaiting_pickup');
        await order.sendCarrierReports('in_transit', 'delivered');
        const { status } = await order.result();

        expect(status).toBe('completed');
        expect(await order.balance()).toEqual(sold);
        expect(order.attemptOutcomes(name)).toEqual(['failed', 'done']);
        expect(order.partnerRequests().filter((call) => call === path)).toHaveLength(2);
      },
    );
  });

  describe('two orders for the last piece', () => {
    test('of two orders for the last piece, one completes and the other is rejected', async () => {
      const products = [await addProduct(shop().store, { available: 1 })];
      const lines = [{ sku: products[0]!.sku, quantity: 1 }];
      const both = await Promise.all([shop().placeOrder({ products, lines }), shop().placeOrder({ products, lines })]);
      const loser = await waitUntil(
        async () => {
          const descriptions = await Promise.all(both.map((order) => order.handle.describe()));
          return both[descriptions.findIndex(({ status }) => status.name !== 'RUNNING')];
        },
        { description: 'the end of one of two orders', timeoutMs: 20_000 },
      );
      const winner = both.find((order) => order !== loser)!;
      await winner.waitForStage('awaiting_pickup');
      await winner.sendCarrierReports('delivered');

      expect(await winner.result()).toMatchObject({ status: 'completed' });
      expect(await loser.result()).toMatchObject({ status: 'rejected', reason: { type: 'OutOfStock' } });
      expect(await winner.balance()).toMatchObject({ verdict: 'sold', charged: 1250 });
      expect(await loser.balance({ others: 1 })).toMatchObject({ verdict: 'rolled back', charged: 0 });
    });
  });
});
