import type { ShipmentReport } from '../../src/schemas/order.js';
import {
  cancelOrderUpdate,
  orderQuery,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
  shipmentReportedSignal,
} from '../../src/workflows/order/contract.js';
import { waitForClose, type OrderHandle, type Recorder, type Recording } from './recorder.js';

/** The order does not retry after this response, so the compensation is stuck at once. */
const failingRefund = { on: 'refund', fault: 'error', status: 400 };

const startStuckOrder = async (recorder: Recorder, orderId: string) => {
  await recorder.callFakes('POST', '/faults', { ...failingRefund, orderId });
  const handle = await recorder.startOrder(orderId, { payment: { token: 'tok_declined' } });
  await recorder.waitForState(handle, 'compensation_stuck');
  return handle;
};

/** Starts an order whose parcel is picked up but not delivered in time. */
const startOverdueOrder = async (recorder: Recorder, orderId: string) => {
  const handle = await recorder.startOrder(orderId, { deliveryTimeoutSeconds: 5 });
  await recorder.waitForState(handle, 'awaiting_pickup');
  await signalShipmentReport(handle, orderId, 'in_transit');
  await recorder.waitForState(handle, 'delivery_overdue');
  return handle;
};

/** No server listens at this callback URL, so the carrier's reports get lost. */
const unreachableUrl = 'http://127.0.0.1:9/';

/** The recordings of orders. */
export const orderRecordings: Record<string, Recording> = {
  'order-completed': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'awaiting_pickup');
    await recorder.triggerCarrierReport(orderId, 'in_transit');
    await recorder.triggerCarrierReport(orderId, 'delivered');
    return await waitForClose(handle);
  },
  'order-rejected-unknown-sku': async (recorder, orderId) =>
    waitForClose(await recorder.startOrder(orderId, { lines: [{ sku: 'NO-SUCH-SKU', quantity: 1 }] })),
  'order-rejected-out-of-stock': async (recorder, orderId) =>
    waitForClose(await recorder.startOrder(orderId, { lines: [{ sku: 'SCALE-POCKET', quantity: 1 }] })),
  'order-rejected-card-declined': async (recorder, orderId) =>
    waitForClose(await recorder.startOrder(orderId, { payment: { token: 'tok_declined' } })),
  'order-cancelled-by-update': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'awaiting_pickup');
    await handle.executeUpdate(cancelOrderUpdate, { args: [{ reason: 'recorded' }] });
    return await waitForClose(handle);
  },
  'order-cancelled-natively': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'awaiting_pickup');
    await handle.cancel();
    return await waitForClose(handle);
  },
  'order-cancelled-while-charging': async (recorder, orderId) => {
    await recorder.callFakes('POST', '/faults', { on: 'charge', fault: 'error', status: 503, times: -1, orderId });
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'charging_payment');
    await handle.cancel();
    return await waitForClose(handle);
  },
  'order-cancellation-rejected': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'awaiting_pickup');
    // The carrier picks up the parcel, but its report gets lost.
    await recorder.callFakes('PUT', '/carrier', { callbackUrl: unreachableUrl });
    await recorder.triggerCarrierReport(orderId, 'in_transit');
    await handle.executeUpdate(cancelOrderUpdate, { args: [{}] });
    await recorder.waitForState(handle, 'in_transit');
    await signalShipmentReport(handle, orderId, 'delivered');
    return await waitForClose(handle);
  },
  'order-failed-invalid-input': async (recorder, orderId) =>
    waitForClose(await recorder.startOrder(orderId, { lines: [{ sku: 'MUG-ENAMEL', quantity: -1 }] })),
  'order-failed-shipment-lost': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'awaiting_pickup');
    await signalShipmentReport(handle, orderId, 'in_transit');
    await recorder.waitForState(handle, 'in_transit');
    await signalShipmentReport(handle, orderId, 'lost');
    return await waitForClose(handle);
  },
  'order-failed-cancelled-by-carrier': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'awaiting_pickup');
    await signalShipmentReport(handle, orderId, 'cancelled');
    return await waitForClose(handle);
  },
  'order-completed-after-foreign-reports': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId);
    await recorder.waitForState(handle, 'awaiting_pickup');
    await handle.signal(shipmentReportedSignal, { orderId, shipmentId: 'of-another-order', status: 'lost' });
    await signalShipmentReport(handle, orderId, 'accepted');
    await signalShipmentReport(handle, orderId, 'accepted');
    await signalShipmentReport(handle, orderId, 'delivered');
    return await waitForClose(handle);
  },
  'order-failed-delivery-timeout': async (recorder, orderId) =>
    waitForClose(await recorder.startOrder(orderId, { deliveryTimeoutSeconds: 1 })),
  'order-carrier-polled': async (recorder, orderId) => {
    const handle = await recorder.startOrder(orderId, { deliveryTimeoutSeconds: 5 });
    await recorder.waitForState(handle, 'awaiting_pickup');
    await recorder.callFakes('PUT', '/carrier', { callbackUrl: unreachableUrl });
    await recorder.triggerCarrierReport(orderId, 'in_transit');
    await recorder.triggerCarrierReport(orderId, 'delivered');
    return await waitForClose(handle);
  },
  'order-overdue-and-written-off': async (recorder, orderId) => {
    const handle = await startOverdueOrder(recorder, orderId);
    await handle.executeUpdate(resolveDeliveryUpdate, { args: [{ attempt: 1, action: 'write_off' }] });
    return await waitForClose(handle);
  },
  'order-overdue-and-extended': async (recorder, orderId) => {
    const handle = await startOverdueOrder(recorder, orderId);
    await handle.executeUpdate(resolveDeliveryUpdate, { args: [{ attempt: 1, action: 'wait', extendBySeconds: 1 }] });
    await recorder.waitForState(handle, 'delivery_overdue');
    await handle.signal(resolveDeliverySignal, { attempt: 2, action: 'delivered' });
    return await waitForClose(handle);
  },
  'order-overdue-and-delivered': async (recorder, orderId) => {
    const handle = await startOverdueOrder(recorder, orderId);
    await signalShipmentReport(handle, orderId, 'delivered');
    return await waitForClose(handle);
  },
  'order-rejected-price-changed': async (recorder, orderId) =>
    waitForClose(await recorder.startOrder(orderId, { expectedTotal: { value: 1, currency: 'EUR' } })),
  'order-stuck-and-skipped-by-signal': async (recorder, orderId) => {
    const handle = await startStuckOrder(recorder, orderId);
    await handle.signal(resolveCompensationSignal, await stuckCompensationDecision(handle, 'skip'));
    return await waitForClose(handle);
  },
  'order-stuck-and-retried-automatically': async (recorder, orderId) =>
    waitForClose(await startStuckOrder(recorder, orderId)),
  'order-stuck-and-retried': async (recorder, orderId) => {
    const handle = await startStuckOrder(recorder, orderId);
    await handle.executeUpdate(resolveCompensationUpdate, { args: [await stuckCompensationDecision(handle, 'retry')] });
    return await waitForClose(handle);
  },
  'order-stuck-and-skipped': async (recorder, orderId) => {
    const handle = await startStuckOrder(recorder, orderId);
    await handle.executeUpdate(resolveCompensationUpdate, { args: [await stuckCompensationDecision(handle, 'skip')] });
    return await waitForClose(handle);
  },
};

/** Returns a decision for the stuck compensation. */
async function stuckCompensationDecision(handle: OrderHandle, action: 'retry' | 'skip') {
  const { compensations } = await handle.query(orderQuery);
  const { name: compensation, attempt } = compensations.find(({ status }) => status === 'stuck')!;
  return { compensation, attempt, action };
}

/** Sends a report about the order's own parcel as a signal, without the API. */
async function signalShipmentReport(
  handle: OrderHandle,
  orderId: string,
  status: ShipmentReport['status'],
): Promise<void> {
  const { shipment } = await handle.query(orderQuery);
  await handle.signal(shipmentReportedSignal, { orderId, shipmentId: shipment!.shipmentId, status });
}
