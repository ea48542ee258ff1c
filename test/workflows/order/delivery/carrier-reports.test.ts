import { WorkflowNotFoundError } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import type { OrderView, ShipmentReport } from '../../../../src/schemas/order.js';
import { cancelOrderUpdate, shipmentReportedSignal } from '../../../../src/workflows/order/contract.js';
import { DEFAULT_DELIVERY_TIMEOUT_SECONDS } from '../../../../src/workflows/order/delivery-monitor.js';
import {
  newOrderId,
  describeWithOrderShop,
  type OrderShop,
  type PlacedOrder,
} from '../../../support/shop/order-shop.js';

const SOLD_BALANCE = { verdict: 'sold', charged: 2500, refunded: 0, parcels: ['delivered'] };
const FORWARD_STEPS = ['reserveStock', 'chargePayment', 'requestShipment'];

/** Returns the completed activities in order, without the activities that record contradicting reports. */
const stepsOf = (order: PlacedOrder) =>
  order.completedActivities().filter((name) => name !== 'recordContradictingReport');

/** Sends a report that the fake carrier would never send. */
const sendForgedReport = (order: PlacedOrder, report: Partial<ShipmentReport>) =>
  order.handle.signal(shipmentReportedSignal, {
    orderId: order.orderId,
    shipmentId: 'sh_of_nobody',
    status: 'delivered',
    ...report,
  });

/** Places an order whose parcel the carrier has accepted. The test holds the carrier's response back. */
async function placeOrderAwaitingShipmentResponse(shop: OrderShop) {
  const orderId = newOrderId();
  const hold = shop.fakes.hold('shipment', orderId);
  const order = await shop.placeOrder({ orderId });
  await hold.arrived;
  return { order, release: () => hold.release() };
}

/** Returns the seconds from the shipment request to the first compensation, on the workflow's clock. */
function secondsWaited({ steps, compensations }: OrderView): number {
  const handover = steps.find(({ name }) => name === 'requestShipment')!.startedAt;
  return (Date.parse(compensations[0]!.startedAt) - Date.parse(handover)) / 1000;
}

describeWithOrderShop("the carrier's reports", (shop) => {
  test.each<Exclude<ShipmentReport['status'], 'cancelled'>[][]>([
    [['in_transit', 'delivered']],
    [['delivered']],
    [['in_transit', 'in_transit', 'delivered', 'delivered']],
    [['in_transit', 'delivered', 'in_transit', 'lost']],
  ])('completes the order once when the carrier reports %j', async (statuses) => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');
    await order.sendCarrierReports(...statuses);
    const view = await order.result();

    expect(view).toMatchObject({ status: 'completed', shipment: { status: 'delivered' }, compensations: [] });
    expect(await order.balance()).toEqual(SOLD_BALANCE);
    expect(stepsOf(order)).toEqual([...FORWARD_STEPS, 'closeOrder']);
  });

  test("applies the first final status when reports arrive out of order before the carrier's response", async () => {
    const { order, release } = await placeOrderAwaitingShipmentResponse(shop());
    await order.sendCarrierReports('delivered', 'in_transit', 'lost');
    const early = await order.view();
    await release();
    const view = await order.result();

    expect(early).toMatchObject({ stage: 'requesting_shipment' });
    expect(early, 'the shipment is not confirmed yet').not.toHaveProperty('shipment');
    expect(view).toMatchObject({ status: 'completed', shipment: { status: 'delivered' }, compensations: [] });
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });

  test("keeps a report that arrives before the carrier's response", async () => {
    const { order, release } = await placeOrderAwaitingShipmentResponse(shop());
    await order.sendCarrierReports('in_transit');
    await release();
    const view = await order.waitForStage('in_transit');
    await order.sendCarrierReports('delivered');

    expect(view.shipment).toMatchObject({ status: 'in_transit' });
    expect(await order.result()).toMatchObject({ status: 'completed' });
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });

  test('ignores reports about another shipment or another order', async () => {
    const order = await shop().placeOrder();
    const before = await order.waitForStage('awaiting_pickup');
    const { shipmentId } = before.shipment!;
    await sendForgedReport(order, {});
    await sendForgedReport(order, { status: 'lost' });
    await sendForgedReport(order, { orderId: newOrderId(), shipmentId });
    const after = await order.view();
    await order.sendCarrierReports('delivered');

    expect(after).toEqual({ ...before, ignoredReportCount: 2 });
    expect(await order.result()).toMatchObject({ status: 'completed', shipment: { shipmentId } });
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });

  test('a report that arrives after the order is closed has no effect', async () => {
    const order = await shop().placeOrder();
    await order.waitForStage('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.result();
    const before = await order.balance();
    const late = await sendForgedReport(order, { status: 'delivered' }).catch((error: unknown) => error);

    expect(late).toBeInstanceOf(WorkflowNotFoundError);
    expect(before).toMatchObject({ verdict: 'rolled back', parcels: ['cancelled'] });
    expect(await order.balance()).toEqual(before);
  });

  test('reports about a cancelled parcel are recorded and do not stop the compensation', async () => {
    const orderId = newOrderId();
    const hold = shop().fakes.hold('refund', orderId);
    const order = await shop().placeOrder({ orderId });
    await order.waitForStage('awaiting_pickup');
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await hold.arrived;
    await order.sendCarrierReports('in_transit', 'delivered');
    await hold.release();

    expect(await order.result()).toMatchObject({ status: 'cancelled' });
    expect(await order.balance()).toMatchObject({ verdict: 'rolled back', refunded: 2500, parcels: ['cancelled'] });
    const done = [...FORWARD_STEPS, 'cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'];
    expect(stepsOf(order)).toEqual(done);
    const reports = await shop().store.listUnhandledReports({ limit: 200 });
    expect(
      reports.filter((report) => report.orderId === orderId).map(({ status, reason }) => [status, reason]),
    ).toEqual([
      ['delivered', 'contradicts_outcome'],
      ['in_transit', 'contradicts_outcome'],
    ]);
  });

  test('a report that contradicts the outcome is recorded even if it arrives while the order closes', async () => {
    const order = await shop().placeOrder();
    const { shipment } = await order.waitForStage('awaiting_pickup');
    // The report arrives during the first attempts at the outcome and is recorded after the last.
    shop().activities.failBeforeEffect('closeOrder', order.orderId, { times: 4, nonRetryable: false });
    shop().activities.failBeforeEffect('recordContradictingReport', order.orderId, { times: 5, nonRetryable: false });
    await order.handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await order.waitForStage('done');
    await sendForgedReport(order, { shipmentId: shipment!.shipmentId });

    expect(await order.result()).toMatchObject({ status: 'cancelled', shipment: { status: 'cancelled' } });
    const reports = await shop().store.listUnhandledReports({ limit: 200 });
    expect(reports.filter(({ orderId }) => orderId === order.orderId)).toMatchObject([
      { status: 'delivered', reason: 'contradicts_outcome' },
    ]);
  });

  describe('a lost parcel', () => {
    test.each<Exclude<ShipmentReport['status'], 'cancelled'>[][]>([
      [['in_transit', 'lost']],
      [['lost']],
      [['lost', 'delivered']],
    ])('after the reports %j, refunds the order but keeps the stock reduced', async (statuses) => {
      const order = await shop().placeOrder();
      await order.waitForStage('awaiting_pickup');
      await order.sendCarrierReports(...statuses);
      const failure = await order.waitForFailure();

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
      expect(order.partnerRequests()).not.toContain('/carrier/cancellations');
      expect(stepsOf(order)).toEqual([...FORWARD_STEPS, 'refundPayment', 'closeOrder']);
    });
  });

  describe('a carrier that sends no reports', () => {
    const compensations = ['cancelShipment', 'refundPayment', 'releaseStock', 'closeOrder'];
    const awaitsReports = (order: PlacedOrder) =>
      order.completedActivities().filter((name) => name !== 'trackShipment');

    test('fails and compensates an order without carrier reports after two weeks', async () => {
      const started = performance.now();
      const order = await shop().placeOrder();
      const failure = await order.waitForFailure();
      const realSeconds = (performance.now() - started) / 1000;
      const view = await order.view();

      expect(failure).toMatchObject({ type: 'DeliveryTimeout' });
      expect(view).toMatchObject({ status: 'failed', reason: { type: 'DeliveryTimeout' } });
      expect(await order.balance()).toEqual({
        verdict: 'rolled back',
        charged: 2500,
        refunded: 2500,
        parcels: ['cancelled'],
      });
      expect(awaitsReports(order)).toEqual([...FORWARD_STEPS, ...compensations]);
      expect(secondsWaited(view)).toBeGreaterThanOrEqual(DEFAULT_DELIVERY_TIMEOUT_SECONDS);
      expect(secondsWaited(view)).toBeLessThan(DEFAULT_DELIVERY_TIMEOUT_SECONDS + 60);
      expect(realSeconds).toBeLessThan(30);
    });

    test('fails an order without carrier reports after the delivery timeout of its input', async () => {
      const order = await shop().placeOrder({ deliveryTimeoutSeconds: 3600 });
      const failure = await order.waitForFailure();
      const view = await order.view();

      expect(failure).toMatchObject({ type: 'DeliveryTimeout' });
      expect(secondsWaited(view)).toBeGreaterThanOrEqual(3600);
      expect(secondsWaited(view)).toBeLessThan(3660);
      expect(await order.balance()).toMatchObject({ verdict: 'rolled back' });
    });
  });

  test('completes the order if the parcel was picked up but the response to the shipment request was lost', async () => {
    const orderId = newOrderId();
    shop().fakes.faults.add({ on: 'shipment', orderId, fault: 'lose-response', times: -1 });
    const hold = shop().fakes.hold('cancellation', orderId, { waitBefore: 'effect' });
    shop().carrierWebhooks.rejectReports(orderId);
    const order = await shop().placeOrder({ orderId });
    const result = order.result();
    await hold.arrived;
    await order.sendCarrierReports('in_transit');
    shop().carrierWebhooks.acceptReports(orderId);
    await order.sendCarrierReports('delivered');
    await hold.release();

    expect(await result).toMatchObject({
      status: 'completed',
      shipment: { status: 'delivered' },
      compensations: [{ name: 'cancelShipment', status: 'rejected' }],
    });
    expect(await order.balance()).toEqual(SOLD_BALANCE);
  });
});
