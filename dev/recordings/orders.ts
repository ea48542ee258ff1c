import { cancelOrderUpdate, orderStatusQuery, resolveCompensationUpdate } from '../../src/workflows/order/contract.js';
import { ended, type OrderHandle, type Recorder, type Recording } from './recorder.js';

/** A refusal that no retry mends, so that the compensation is stuck at once. */
const brokenRefund = { on: 'refund', fault: 'error', status: 400 };

const stuckOrder = async (recorder: Recorder, orderId: string) => {
  await recorder.outsideWorld('POST', '/faults', { ...brokenRefund, orderId });
  const handle = await recorder.startOrder(orderId, { payment: { token: 'tok_declined' } });
  await recorder.until(handle, 'compensation_stuck');
  return handle;
};

/** Where the carrier reports to when nobody is to hear him. */
const nowhere = 'http://127.0.0.1:9/';

/** How to bring about each outcome of an order. */
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
    // The carrier has the parcel, and nobody has told the order yet.
    await recorder.outsideWorld('PUT', '/carrier', { callbackUrl: nowhere });
    await recorder.carrierReports(orderId, 'in_transit');
    await handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await recorder.until(handle, 'in_transit');
    await handle.signal('shipmentReported', { orderId, shipmentId: await shipmentId(handle), status: 'delivered' });
    return await ended(handle);
  },
  'order-failed-invalid-input': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { lines: [{ sku: 'MUG-ENAMEL', quantity: -1 }] })),
  'order-failed-shipment-lost': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.until(handle, 'awaiting_pickup');
    await handle.signal('shipmentReported', { orderId, shipmentId: await shipmentId(handle), status: 'in_transit' });
    await recorder.until(handle, 'in_transit');
    await handle.signal('shipmentReported', { orderId, shipmentId: await shipmentId(handle), status: 'lost' });
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

/** A decision about the compensation that is stuck. */
async function aboutStuck(handle: OrderHandle, action: 'retry' | 'skip') {
  const { compensations } = await handle.query(orderStatusQuery);
  const { name: compensation, attempt } = compensations.find(({ status }) => status === 'stuck')!;
  return { compensation, attempt, action };
}

async function shipmentId(handle: Awaited<ReturnType<Recorder['startOrder']>>): Promise<string> {
  const { shipment } = await handle.query<{ shipment: { shipmentId: string } }>('orderStatus');
  return shipment.shipmentId;
}
