import { describe, expect, test } from 'vitest';
import { anOrderId, describeOrders } from '../../support/order-shop.js';
import { aProduct } from '../../support/shop.js';

const nothing = { verdict: 'undone', charged: 0, refunded: 0, parcels: [] };

/** Seconds between two points of a view's timeline. */
const secondsBetween = (start: string, end: string) => (Date.parse(end) - Date.parse(start)) / 1000;

describeOrders('an order whose step fails', (shop) => {
  describe('quote', () => {
    test('when a SKU is unknown, then the order is rejected and nothing is done', async () => {
      const products = [await aProduct(shop().store)];
      const lines = [
        { sku: products[0]!.sku, quantity: 1 },
        { sku: 'NO-SUCH-THING', quantity: 1 },
      ];
      const order = await shop().place({ products, lines });
      const view = await order.result();

      expect(view).toMatchObject({
        status: 'rejected',
        stage: 'done',
        reason: { type: 'UnknownSku', message: 'not in the catalogue: NO-SUCH-THING' },
        steps: [{ name: 'reserveStock', status: 'failed', reason: { type: 'UnknownSku' } }],
        compensations: [],
      });
      expect(await order.balance()).toEqual(nothing);
      expect(order.done()).toEqual(['closeOrder']);
      expect(order.calls()).toEqual([]);
    });

    test('when the lines have several currencies, then the order is rejected and nothing is done', async () => {
      const products = [
        await aProduct(shop().store, { price: { value: 100, currency: 'EUR' } }),
        await aProduct(shop().store, { price: { value: 100, currency: 'USD' } }),
      ];
      const order = await shop().place({ products });
      const view = await order.result();

      expect(view).toMatchObject({ status: 'rejected', reason: { type: 'MixedCurrencies' } });
      expect(order.done()).toEqual(['closeOrder']);
      expect(await order.balance()).toEqual(nothing);
      expect(order.calls()).toEqual([]);
    });
  });

  describe('reservation', () => {
    test('when one of the lines is out of stock, then nothing is taken and no one is charged', async () => {
      const products = [await aProduct(shop().store), await aProduct(shop().store, { available: 1 })];
      const order = await shop().place({ products });
      const view = await order.result();

      expect(view).toMatchObject({
        status: 'rejected',
        reason: { type: 'OutOfStock', message: `${products[1]!.sku}: 2 wanted, 1 available` },
        compensations: [],
      });
      expect(await order.balance()).toEqual(nothing);
      expect(order.done()).toEqual(['closeOrder']);
      expect(order.attempts('reserveStock'), 'no retries').toEqual(['failed']);
      expect(order.calls()).toEqual([]);
    });

    test('when the id was taken by another execution, then that one keeps all that it has', async () => {
      const first = await shop().place();
      await first.reached('awaiting_pickup');
      await first.carrierReports('delivered');
      await first.result();
      const before = first.calls();

      const second = await shop().place({ orderId: first.orderId, products: first.products });
      const view = await second.result();

      expect(view).toMatchObject({
        status: 'rejected',
        reason: { type: 'OrderIdTaken' },
        compensations: [],
      });
      expect(await first.balance()).toEqual({ verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] });
      expect(first.calls()).toEqual(before);
    });

    test('when it takes effect and then fails for good, then the stock is put back', async () => {
      const orderId = anOrderId();
      shop().activities.loseAnswer('reserveStock', orderId, { forGood: true });

      const order = await shop().place({ orderId });
      const failure = await order.failure();

      expect(failure).toMatchObject({ type: 'ToldToFail' });
      expect(await order.balance()).toEqual(nothing);
      expect(order.done()).toEqual(['releaseStock', 'closeOrder']);
    });
  });

  describe('payment', () => {
    test.each([
      ['the card is declined', 'tok_declined', 'CardDeclined'],
      ['the funds are insufficient', 'tok_insufficient_funds', 'InsufficientFunds'],
      ['the token is unknown', 'tok_of_nobody', 'CardDeclined'],
    ])('when %s, then the order is rejected at once and the stock is put back', async (_what, token, type) => {
      const order = await shop().place({ token });
      const view = await order.result();

      expect(view).toMatchObject({
        status: 'rejected',
        reason: { type },
        compensations: [
          { name: 'refundPayment', status: 'completed' },
          { name: 'releaseStock', status: 'completed' },
        ],
      });
      expect(await order.balance()).toEqual(nothing);
      expect(order.done()).toEqual(['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder']);
      expect(order.calls(), 'no retries').toEqual(['/payments/charges', '/payments/refunds']);
    });

    test('fails after six hours of retries when the gateway stays away', async () => {
      const started = performance.now();
      const order = await shop().place({ token: 'tok_gateway_down' });
      const failure = await order.failure();
      const realSeconds = (performance.now() - started) / 1000;
      const { status, reason, steps } = await order.view();
      const { startedAt, endedAt } = steps.find(({ name }) => name === 'chargePayment')!;

      expect(failure).toMatchObject({ type: 'PaymentGatewayUnavailable' });
      expect({ status, reason }).toMatchObject({ status: 'failed', reason: { type: 'PaymentGatewayUnavailable' } });
      expect(await order.balance()).toEqual(nothing);
      expect(order.done()).toEqual(['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder']);
      expect(secondsBetween(startedAt, endedAt!)).toBeGreaterThan(5.8 * 3600);
      expect(secondsBetween(startedAt, endedAt!)).toBeLessThanOrEqual(6 * 3600 + 60);
      expect(realSeconds).toBeLessThan(30);
    });

    test('when the money is taken but no answer ever comes, then it is given back', async () => {
      const orderId = anOrderId();
      shop().outside.faults.add({ on: 'charge', orderId, fault: 'lose-answer', times: -1 });

      const order = await shop().place({ orderId });
      const failure = await order.failure();

      expect(failure).toMatchObject({ type: 'PaymentGatewayUnavailable' });
      expect(await order.balance()).toEqual({ verdict: 'undone', charged: 2500, refunded: 2500, parcels: [] });
      expect(order.done()).toEqual(['reserveStock', 'refundPayment', 'releaseStock', 'closeOrder']);
    });
  });

  describe('shipment', () => {
    const undoneAll = [
      ...['reserveStock', 'chargePayment'],
      ...['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'],
    ];

    test.each(['error', 'unreachable'] as const)(
      'when the carrier stays away (%s), then the money is given back and the stock put back',
      async (fault) => {
        const orderId = anOrderId();
        shop().outside.faults.add({ on: 'shipment', orderId, fault, times: -1 });

        const order = await shop().place({ orderId });
        const failure = await order.failure();

        expect(failure).toMatchObject({ type: 'CarrierUnavailable' });
        expect(await order.view()).toMatchObject({
          status: 'failed',
          compensations: [
            { name: 'cancelShipment', status: 'completed' },
            { name: 'refundPayment', status: 'completed' },
            { name: 'releaseStock', status: 'completed' },
          ],
        });
        expect(await order.balance()).toEqual({ verdict: 'undone', charged: 2500, refunded: 2500, parcels: [] });
        expect(order.done()).toEqual(undoneAll);
      },
    );

    test('when the parcel is accepted but no answer ever comes, then it is called back', async () => {
      const orderId = anOrderId();
      shop().outside.faults.add({ on: 'shipment', orderId, fault: 'lose-answer', times: -1 });

      const order = await shop().place({ orderId });
      const failure = await order.failure();

      expect(failure).toMatchObject({ type: 'CarrierUnavailable' });
      expect(await order.balance()).toEqual({
        verdict: 'undone',
        charged: 2500,
        refunded: 2500,
        parcels: ['cancelled'],
      });
      expect(order.done()).toEqual(undoneAll);
    });
  });
});
