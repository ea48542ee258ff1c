import { describe, expect, test } from 'vitest';
import { newOrderId, describeWithPaymentAdapters } from '../../../support/shop/order-shop.js';
import { addProduct } from '../../../support/shop/shop.js';

const UNDONE_BALANCE = { verdict: 'rolled back', charged: 0, refunded: 0, parcels: [] };

const secondsBetween = (start: string, end: string) => (Date.parse(end) - Date.parse(start)) / 1000;

describeWithPaymentAdapters('an order with a failing step', (shop) => {
  describe('quote', () => {
    test('rejects an order with an unknown SKU before any reservation or charge', async () => {
      const products = [await addProduct(shop().store)];
      const lines = [
        { sku: products[0]!.sku, quantity: 1 },
        { sku: 'NO-SUCH-THING', quantity: 1 },
      ];
      const order = await shop().placeOrder({ products, lines });
      const view = await order.result();

      expect(view).toMatchObject({
        status: 'rejected',
        stage: 'done',
        reason: { type: 'UnknownSku', message: 'not in the catalogue: NO-SUCH-THING' },
        steps: [{ name: 'reserveStock', status: 'failed', reason: { type: 'UnknownSku' } }],
        compensations: [],
      });
      expect(await order.balance()).toEqual(UNDONE_BALANCE);
      expect(order.completedActivities()).toEqual(['closeOrder']);
      expect(order.partnerRequests()).toEqual([]);
    });

    test('rejects an order with several currencies before any reservation or charge', async () => {
      const products = [
        await addProduct(shop().store, { price: { value: 100, currency: 'EUR' } }),
        await addProduct(shop().store, { price: { value: 100, currency: 'USD' } }),
      ];
      const order = await shop().placeOrder({ products });
      const view = await order.result();

      expect(view).toMatchObject({ status: 'rejected', reason: { type: 'MixedCurrencies' } });
      expect(order.completedActivities()).toEqual(['closeOrder']);
      expect(await order.balance()).toEqual(UNDONE_BALANCE);
      expect(order.partnerRequests()).toEqual([]);
    });
  });

  describe('reservation', () => {
    test('an order with one line out of stock is rejected, and nothing is reserved or charged', async () => {
      const products = [await addProduct(shop().store), await addProduct(shop().store, { available: 1 })];
      const order = await shop().placeOrder({ products });
      const view = await order.result();

      expect(view).toMatchObject({
        status: 'rejected',
        reason: { type: 'OutOfStock', message: `${products[1]!.sku}: 2 requested, 1 available` },
        compensations: [],
      });
      expect(await order.balance()).toEqual(UNDONE_BALANCE);
      expect(order.completedActivities()).toEqual(['closeOrder']);
      expect(order.attemptOutcomes('reserveStock'), 'no retries').toEqual(['failed']);
      expect(order.partnerRequests()).toEqual([]);
    });

    test('rejects an order whose order id is taken, and does not compensate the existing order', async () => {
      const first = await shop().placeOrder();
      await first.waitForStage('awaiting_pickup');
      await first.sendCarrierReports('delivered');
      await first.result();
      const before = first.partnerRequests();

      const second = await shop().placeOrder({ orderId: first.orderId, products: first.products });
      const view = await second.result();

      expect(view).toMatchObject({
        status: 'rejected',
        reason: { type: 'OrderIdTaken' },
        compensations: [],
      });
      expect(await first.balance()).toEqual({ verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] });
      expect(first.partnerRequests()).toEqual(before);
    });

    test('releases the stock if the reservation fails permanently after its effect', async () => {
      const orderId = newOrderId();
      shop().activities.failAfterEffect('reserveStock', orderId, { nonRetryable: true });

      const order = await shop().placeOrder({ orderId });
      const failure = await order.waitForFailure();

      expect(failure).toMatchObject({ type: 'InjectedFailure' });
      expect(await order.balance()).toEqual(UNDONE_BALANCE);
      expect(order.completedActivities()).toEqual(['releaseStock', 'closeOrder']);
    });
  });

  describe('payment', () => {
    test.each([
      ['the card is declined', 'tok_declined', 'CardDeclined'],
      ['the funds are insufficient', 'tok_insufficient_funds', 'InsufficientFunds'],
      ['the token is unknown', 'tok_of_nobody', 'CardDeclined'],
    ])('rejects the order at once and releases the stock when %s', async (_description, token, type) => {
      const order = await shop().placeOrder({ token });
      const view = await order.result();

      expect(view).toMatchObject({
        status: 'rejected',
        reason: { type },
        compensations: [
          { name: 'refundPayment', status: 'completed' },
          { name: 'releaseStock', status: 'completed' },
        ],
      });
      expect(await order.balance()).toEqual(UNDONE_BALANCE);
      expect(order.completedActivities()).toEqual(['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder']);
      expect(order.partnerRequests(), 'no retries').toEqual(['/payments/charges', '/payments/refunds']);
    });

    test('fails the order after six hours of retries if the payment gateway stays unavailable', async () => {
      const started = performance.now();
      const order = await shop().placeOrder({ token: 'tok_gateway_down' });
      const failure = await order.waitForFailure();
      const realSeconds = (performance.now() - started) / 1000;
      const { status, reason, steps } = await order.view();
      const { startedAt, endedAt } = steps.find(({ name }) => name === 'chargePayment')!;

      expect(failure).toMatchObject({ type: 'PaymentGatewayUnavailable' });
      expect({ status, reason }).toMatchObject({ status: 'failed', reason: { type: 'PaymentGatewayUnavailable' } });
      expect(await order.balance()).toEqual(UNDONE_BALANCE);
      expect(order.completedActivities()).toEqual(['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder']);
      expect(secondsBetween(startedAt, endedAt!)).toBeGreaterThan(5.8 * 3600);
      expect(secondsBetween(startedAt, endedAt!)).toBeLessThanOrEqual(6 * 3600 + 60);
      expect(realSeconds).toBeLessThan(30);
    });

    test('refunds a charge that succeeded at the gateway but whose response was lost', async () => {
      const orderId = newOrderId();
      shop().fakes.faults.add({ on: 'charge', orderId, fault: 'lose-response', times: -1 });

      const order = await shop().placeOrder({ orderId });
      const failure = await order.waitForFailure();

      expect(failure).toMatchObject({ type: 'PaymentGatewayUnavailable' });
      expect(await order.balance()).toEqual({ verdict: 'rolled back', charged: 2500, refunded: 2500, parcels: [] });
      expect(order.completedActivities()).toEqual(['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder']);
    });
  });

  describe('shipment', () => {
    const undoneAll = [
      'reserveStock',
      'chargePayment',
      'cancelShipment',
      'refundPayment',
      'releaseStock',
      'closeOrder',
    ];

    test.each(['error', 'unreachable'] as const)(
      'refunds the order and releases the stock if the carrier stays unavailable (%s)',
      async (fault) => {
        const orderId = newOrderId();
        shop().fakes.faults.add({ on: 'shipment', orderId, fault, times: -1 });

        const order = await shop().placeOrder({ orderId });
        const failure = await order.waitForFailure();

        expect(failure).toMatchObject({ type: 'CarrierUnavailable' });
        expect(await order.view()).toMatchObject({
          status: 'failed',
          compensations: [
            { name: 'cancelShipment', status: 'completed' },
            { name: 'refundPayment', status: 'completed' },
            { name: 'releaseStock', status: 'completed' },
          ],
        });
        expect(await order.balance()).toEqual({ verdict: 'rolled back', charged: 2500, refunded: 2500, parcels: [] });
        expect(order.completedActivities()).toEqual(undoneAll);
      },
    );

    test('cancels a shipment that the carrier accepted but whose response was lost', async () => {
      const orderId = newOrderId();
      shop().fakes.faults.add({ on: 'shipment', orderId, fault: 'lose-response', times: -1 });

      const order = await shop().placeOrder({ orderId });
      const failure = await order.waitForFailure();

      expect(failure).toMatchObject({ type: 'CarrierUnavailable' });
      expect(await order.balance()).toEqual({
        verdict: 'rolled back',
        charged: 2500,
        refunded: 2500,
        parcels: ['cancelled'],
      });
      expect(order.completedActivities()).toEqual(undoneAll);
    });
  });
});
