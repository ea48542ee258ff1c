import { WorkflowNotFoundError } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import type { OrderView, ShipmentReport } from '../../../src/schemas/order.js';
import {
  cancelOrderUpdate,
  DEFAULT_DELIVERY_TIMEOUT_SECONDS,
  shipmentReportedSignal,
} from '../../../src/workflows/order/contract.js';
import { anOrderId, describeOrders, type OrderShop, type PlacedOrder } from '../../support/order-shop.js';

const sold = { verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] };
const forward = ['reserveStock', 'chargePayment', 'requestShipment'];

/** The steps and compensations that were done, in order, without the records of contradicting reports. */
const stepsOf = (order: PlacedOrder) => order.done().filter((name) => name !== 'recordContradiction');

/** Sends a report that the fake carrier would never send. */
const forge = (order: PlacedOrder, report: Partial<ShipmentReport>) =>
  order.handle.signal(shipmentReportedSignal, {
    orderId: order.orderId,
    shipmentId: 'sh_of_nobody',
    status: 'delivered',
    ...report,
  });

/** Places an order whose parcel is accepted while the carrier's response is held back. */
async function acceptedUnanswered(shop: OrderShop) {
  const orderId = anOrderId();
  const hold = shop.outside.hold('shipment', orderId);
  const order = await shop.place({ orderId });
  await hold.arrived;
  return { order, release: () => hold.release() };
}

/** Seconds on the workflow's clock from the shipment request to the first compensation. */
function secondsWaited({ steps, compensations }: OrderView): number {
  const handover = steps.find(({ name }) => name === 'requestShipment')!.startedAt;
  return (Date.parse(compensations[0]!.startedAt) - Date.parse(handover)) / 1000;
}

describeOrders("the carrier's reports", (shop) => {
  test.each<Exclude<ShipmentReport['status'], 'cancelled'>[][]>([
    [['in_transit', 'delivered']],
    [['delivered']],
    [['in_transit', 'in_transit', 'delivered', 'delivered']],
    [['in_transit', 'delivered', 'in_transit', 'lost']],
  ])('complete the order once for the sequence %j', async (statuses) => {
    const order = await shop().place();
    await order.reached('awaiting_pickup');
    await order.carrierReports(...statuses);
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', shipment: { status: 'delivered' }, compensations: [] });
    expect(await order.balance()).toEqual(sold);
    expect(stepsOf(order)).toEqual([...forward, 'closeOrder']);
  });

  test("apply the first final status if they precede the carrier's response out of order", async () => {
    const { order, release } = await acceptedUnanswered(shop());
    await order.carrierReports('delivered', 'in_transit', 'lost');
    const early = await order.view();
    await release();
    const view = await order.result();

    expect(early).toMatchObject({ stage: 'requesting_shipment' });
    expect(early, 'the shipment is not confirmed yet').not.toHaveProperty('shipment');
    expect(view).toMatchObject({ status: 'completed', shipment: { status: 'delivered' }, compensations: [] });
    expect(await order.balance()).toEqual(sold);
  });

  test("are kept if they overtake the carrier's response", async () => {
    const { order, release } = await acceptedUnanswered(shop());
    await order.carrierReports('in_transit');
    await release();
    const view = await order.reached('in_transit');
    await order.carrierReports('delivered');

    expect(view.shipment).toMatchObject({ status: 'in_transit' });
    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(await order.balance()).toEqual(sold);
  });

  test('change nothing if they are about another shipment or order', async () => {
    const order = await shop().place();
    const before = await order.reached('awaiting_pickup');
    const { shipmentId } = before.shipment!;
    await forge(order, {});
    await forge(order, { status: 'lost' });
    await forge(order, { orderId: anOrderId(), shipmentId });
    const after = await order.view();
    await order.carrierReports('delivered');

    expect(after).toEqual({ ...before, ignoredReports: 2 });
    expect(await order.result()).toMatchObject({ status: 'completed', shipment: { shipmentId } });
    expect(await order.balance()).toEqual(sold);
  });

  test('change nothing after the order is closed', async () => {
    const order = await shop().place();
    await order.reached('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.result();
    const before = await order.balance();
    const late = await forge(order, { status: 'delivered' }).catch((error: unknown) => error);

    expect(late).toBeInstanceOf(WorkflowNotFoundError);
    expect(before).toMatchObject({ verdict: 'undone', parcels: ['cancelled'] });
    expect(await order.balance()).toEqual(before);
  });

  test('do not stop a compensation once the parcel is cancelled', async () => {
    const orderId = anOrderId();
    const hold = shop().outside.hold('refund', orderId);
    const order = await shop().place({ orderId });
    await order.reached('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await hold.arrived;
    await order.carrierReports('in_transit', 'delivered');
    await hold.release();

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(await order.balance()).toMatchObject({ verdict: 'undone', refunded: 2500, parcels: ['cancelled'] });
    const done = [...forward, 'cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'];
    expect(stepsOf(order)).toEqual(done);
    const reports = await shop().store.listUnhandledReports({ limit: 200 });
    expect(
      reports.filter((report) => report.orderId === orderId).map(({ status, reason }) => [status, reason]),
    ).toEqual([
      ['delivered', 'contradicts_outcome'],
      ['in_transit', 'contradicts_outcome'],
    ]);
  });

  describe('a lost parcel', () => {
    test.each<Exclude<ShipmentReport['status'], 'cancelled'>[][]>([
      [['in_transit', 'lost']],
      [['lost']],
      [['lost', 'delivered']],
    ])('with the reports %j refunds the order without releasing stock or calling the carrier', async (statuses) => {
      const order = await shop().place();
      await order.reached('awaiting_pickup');
      await order.carrierReports(...statuses);
      const failure = await order.failure();

      expect(failure).toMatchObject({ type: 'ShipmentLost' });
      expect(await order.view()).toMatchObject({
        status: 'failed',
        stage: 'done',
        reason: { type: 'ShipmentLost' },
        shipment: { status: 'lost' },
        compensations: [{ name: 'refundPayment', status: 'completed' }],
      });
      expect(await order.balance()).toEqual({
        verdict: 'written off',
        charged: 2500,
        refunded: 2500,
        parcels: ['lost'],
      });
      expect(order.calls()).not.toContain('/carrier/cancellations');
      expect(stepsOf(order)).toEqual([...forward, 'refundPayment', 'closeOrder']);
    });
  });

  describe('a carrier that sends no reports', () => {
    const undone = ['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'];
    const doneButAsking = (order: PlacedOrder) => order.done().filter((name) => name !== 'trackShipment');

    test('fails the order with everything compensated after two weeks, which the server skips', async () => {
      const started = performance.now();
      const order = await shop().place();
      const failure = await order.failure();
      const realSeconds = (performance.now() - started) / 1000;
      const view = await order.view();

      expect(failure).toMatchObject({ type: 'DeliveryTimeout' });
      expect(view).toMatchObject({ status: 'failed', reason: { type: 'DeliveryTimeout' } });
      expect(await order.balance()).toEqual({
        verdict: 'undone',
        charged: 2500,
        refunded: 2500,
        parcels: ['cancelled'],
      });
      expect(doneButAsking(order)).toEqual([...forward, ...undone]);
      expect(secondsWaited(view)).toBeGreaterThanOrEqual(DEFAULT_DELIVERY_TIMEOUT_SECONDS);
      expect(secondsWaited(view)).toBeLessThan(DEFAULT_DELIVERY_TIMEOUT_SECONDS + 60);
      expect(realSeconds).toBeLessThan(30);
    });

    test('fails the order after the time-out of its input', async () => {
      const order = await shop().place({ deliveryTimeoutSeconds: 3600 });
      const failure = await order.failure();
      const view = await order.view();

      expect(failure).toMatchObject({ type: 'DeliveryTimeout' });
      expect(secondsWaited(view)).toBeGreaterThanOrEqual(3600);
      expect(secondsWaited(view)).toBeLessThan(3660);
      expect(await order.balance()).toMatchObject({ verdict: 'undone' });
    });
  });

  test('completes the order if it picked up the parcel but never responded', async () => {
    const orderId = anOrderId();
    shop().outside.faults.add({ on: 'shipment', orderId, fault: 'lose-answer', times: -1 });
    const hold = shop().outside.hold('cancellation', orderId, { effect: 'after' });
    shop().letterbox.shut(orderId);
    const order = await shop().place({ orderId });
    const result = order.result();
    await hold.arrived;
    await order.carrierReports('in_transit');
    shop().letterbox.open(orderId);
    await order.carrierReports('delivered');
    await hold.release();

    expect(await result).toMatchObject({
      status: 'completed',
      shipment: { status: 'delivered' },
      compensations: [{ name: 'cancelShipment', status: 'refused' }],
    });
    expect(await order.balance()).toEqual(sold);
  });
});
