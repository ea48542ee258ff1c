import type { ShipmentReport } from '../../src/schemas/order.js';
import {
  cancelOrderUpdate,
  orderStatusQuery,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
  shipmentReportedSignal,
} from '../../src/workflows/order/contract.js';
import { ended, type OrderHandle, type Recorder, type Recording } from './recorder.js';

/** A response that is not retried, so that the compensation is stuck at once. */
const brokenRefund = { on: 'refund', fault: 'error', status: 400 };

const stuckOrder = async (recorder: Recorder, orderId: string) => {
  await recorder.outsideWorld('POST', '/faults', { ...brokenRefund, orderId });
  const handle = await recorder.startOrder(orderId, { payment: { token: 'tok_declined' } });
  await recorder.until(handle, 'compensation_stuck');
  return handle;
};

/** An order whose parcel was picked up and not delivered in time. */
const overdueOrder = async (recorder: Recorder, orderId: string) => {
  const handle = await recorder.startOrder(orderId, { deliveryTimeoutSeconds: 5 });
  await recorder.until(handle, 'awaiting_pickup');
  await report(handle, orderId, 'in_transit');
  await recorder.until(handle, 'delivery_overdue');
  return handle;
};

/** A callback URL without a receiver, so that the carrier's reports get lost. */
const nowhere = 'http://127.0.0.1:9/';

/** How to produce each outcome of an order. */
export const orderRecordings: Record<string, Recording> = {
  'order-completed': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    await recorder.carrierReports(orderId, 'in_transit');
    await recorder.carrierReports(orderId, 'delivered');
    return await ended(handle);
  },
  'order-rejected-unknown-sku': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { lines: [{ sku: 'NO-SUCH-SKU', quantity: 1 }] })),
  'order-rejected-out-of-stock': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { lines: [{ sku: 'SCALE-POCKET', quantity: 1 }] })),
  'order-rejected-card-declined': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { payment: { token: 'tok_declined' } })),
  'order-cancelled-by-update': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    await handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'recorded' }] });
    return await ended(handle);
  },
  'order-cancelled-natively': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    await handle.cancel();
    return await ended(handle);
  },
  'order-cancelled-while-charging': async (recorder, orderId) => {
    await recorder.outsideWorld('POST', '/faults', { on: 'charge', fault: 'error', status: 503, times: -1, orderId });
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'charging_payment');
    await handle.cancel();
    return await ended(handle);
  },
  'order-cancellation-refused': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    // The carrier picks the parcel up, and its report gets lost.
    await recorder.outsideWorld('PUT', '/carrier', { callbackUrl: nowhere });
    await recorder.carrierReports(orderId, 'in_transit');
    await handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await recorder.until(handle, 'in_transit');
    await report(handle, orderId, 'delivered');
    return await ended(handle);
  },
  'order-failed-invalid-input': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { lines: [{ sku: 'MUG-ENAMEL', quantity: -1 }] })),
  'order-failed-shipment-lost': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    await report(handle, orderId, 'in_transit');
    await recorder.until(handle, 'in_transit');
    await report(handle, orderId, 'lost');
    return await ended(handle);
  },
  'order-failed-cancelled-by-carrier': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    await report(handle, orderId, 'cancelled');
    return await ended(handle);
  },
  'order-completed-after-foreign-reports': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    await handle.signal(shipmentReportedSignal, { orderId, shipmentId: 'of-another-order', status: 'lost' });
    await report(handle, orderId, 'accepted');
    await report(handle, orderId, 'accepted');
    await report(handle, orderId, 'delivered');
    return await ended(handle);
  },
  'order-failed-delivery-timeout': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { deliveryTimeoutSeconds: 1 })),
  'order-carrier-asked': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId, { deliveryTimeoutSeconds: 5 });
    await recorder.until(handle, 'awaiting_pickup');
    await recorder.outsideWorld('PUT', '/carrier', { callbackUrl: nowhere });
    await recorder.carrierReports(orderId, 'in_transit');
    await recorder.carrierReports(orderId, 'delivered');
    return await ended(handle);
  },
  'order-overdue-and-written-off': async (recorder, orderId) => {
    const handle = await overdueOrder(recorder, orderId);
    await handle.executeUpdate(resolveDeliveryUpdate, { args: [{ attempt: 1, action: 'write_off' }] });
    return await ended(handle);
  },
  'order-overdue-and-extended': async (recorder, orderId) => {
    const handle = await overdueOrder(recorder, orderId);
    await handle.executeUpdate(resolveDeliveryUpdate, { args: [{ attempt: 1, action: 'wait', seconds: 1 }] });
    await recorder.until(handle, 'delivery_overdue');
    await handle.signal(resolveDeliverySignal, { attempt: 2, action: 'delivered' });
    return await ended(handle);
  },
  'order-overdue-and-delivered': async (recorder, orderId) => {
    const handle = await overdueOrder(recorder, orderId);
    await report(handle, orderId, 'delivered');
    return await ended(handle);
  },
  'order-rejected-price-changed': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { expectedTotal: { value: 1, currency: 'EUR' } })),
  'order-stuck-and-skipped-by-signal': async (recorder, orderId) => {
    const handle = await stuckOrder(recorder, orderId);
    await handle.signal(resolveCompensationSignal, await aboutStuck(handle, 'skip'));
    return await ended(handle);
  },
  'order-stuck-and-healed': async (recorder, orderId) => ended(await stuckOrder(recorder, orderId)),
  'order-stuck-and-retried': async (recorder, orderId) => {
    const handle = await stuckOrder(recorder, orderId);
    await handle.executeUpdate(resolveCompensationUpdate, { args: [await aboutStuck(handle, 'retry')] });
    return await ended(handle);
  },
  'order-stuck-and-skipped': async (recorder, orderId) => {
    const handle = await stuckOrder(recorder, orderId);
    await handle.executeUpdate(resolveCompensationUpdate, { args: [await aboutStuck(handle, 'skip')] });
    return await ended(handle);
  },
};

/** A decision about the stuck compensation. */
async function aboutStuck(handle: OrderHandle, action: 'retry' | 'skip') {
  const { compensations } = await handle.query(orderStatusQuery);
  const { name: compensation, attempt } = compensations.find(({ status }) => status === 'stuck')!;
  return { compensation, attempt, action };
}

/** Sends a report about the order's own parcel directly as a signal, without the API. */
async function report(handle: OrderHandle, orderId: string, status: ShipmentReport['status']): Promise<void> {
  const { shipment } = await handle.query(orderStatusQuery);
  await handle.signal(shipmentReportedSignal, { orderId, shipmentId: shipment!.shipmentId, status });
}
