import { waitForClose, type Recorder, type Recording } from './recorder.js';

/** Places an order and terminates it while the parcel is at the carrier. */
async function terminateOrder(recorder: Recorder, orderId: string, { isPickedUp = false } = {}): Promise<void> {
  const order = await recorder.startOrder(orderId);
  await recorder.waitForState(order, 'awaiting_pickup');
  if (isPickedUp) await recorder.triggerCarrierReport(orderId, 'in_transit');
  await order.terminate();
}

/** The recordings of housekeeping workflows. Each run also reconciles the orders of earlier recordings. */
export const housekeepingRecordings: Record<string, Recording> = {
  'reconcile-dry-run': async (recorder, id) => {
    await terminateOrder(recorder, id);
    return await waitForClose(await recorder.startHousekeeping('reconcile', id, { dryRun: true }));
  },
  'reconcile-rolled-back': async (recorder, id) => {
    await terminateOrder(recorder, id);
    return await waitForClose(await recorder.startHousekeeping('reconcile', id));
  },
  'reconcile-needs-person': async (recorder, id) => {
    await terminateOrder(recorder, id, { isPickedUp: true });
    return await waitForClose(await recorder.startHousekeeping('reconcile', id));
  },
  'reconcile-closed-completed': async (recorder, id) => {
    await terminateOrder(recorder, id, { isPickedUp: true });
    await recorder.triggerCarrierReport(id, 'delivered');
    return await waitForClose(await recorder.startHousekeeping('reconcile', id, { close: { orderId: id } }));
  },
  'reconcile-closed-written-off': async (recorder, id) => {
    await terminateOrder(recorder, id, { isPickedUp: true });
    const close = { orderId: id, as: 'write_off' };
    return await waitForClose(await recorder.startHousekeeping('reconcile', id, { close }));
  },
  'reconcile-failed-invalid-input': async (recorder, id) =>
    waitForClose(await recorder.startHousekeeping('reconcile', id, { dryrun: true })),
  'audit-completed': async (recorder, id) => waitForClose(await recorder.startHousekeeping('audit', id)),
  'audit-failed-invalid-input': async (recorder, id) =>
    waitForClose(await recorder.startHousekeeping('audit', id, { dryRun: true })),
  'report-completed': async (recorder, id) => waitForClose(await recorder.startHousekeeping('report', id)),
  'report-failed-invalid-input': async (recorder, id) =>
    waitForClose(await recorder.startHousekeeping('report', id, { days: 0 })),
  'purge-completed': async (recorder, id) => waitForClose(await recorder.startHousekeeping('purge', id)),
  'purge-orders-apart': async (recorder, id) => waitForClose(await recorder.startHousekeeping('purge', id)),
  'erase-blocked': async (recorder, id) => {
    const customerId = `customer-${id}`;
    const order = await recorder.startOrder(id, { customerId });
    await recorder.waitForState(order, 'awaiting_pickup');
    const run = await waitForClose(await recorder.startErase(id, { customerId }));
    await order.terminate();
    return run;
  },
  'erase-erased': async (recorder, id) => waitForClose(await recorder.startErase(id, { customerId: `customer-${id}` })),
  'erase-failed-invalid-input': async (recorder, id) =>
    waitForClose(await recorder.startErase(id, { customerId: `customer ${id}` })),
  'purge-failed-invalid-input': async (recorder, id) =>
    waitForClose(await recorder.startHousekeeping('purge', id, { dryRun: true })),
};
