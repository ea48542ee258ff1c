import { decideSignal, decideUpdate, withdrawUpdate } from '../../src/workflows/approval/contract.js';
import { shipmentReportedSignal } from '../../src/workflows/order/contract.js';
import { ended, type Recorder, type Recording } from './recorder.js';

const lead = { id: 'lead', email: 'lead@example.com' };
const large = { lines: [{ sku: 'MACHINE-LEVER', quantity: 1 }] };
const approve = { approver: 'lead', decision: 'approve' } as const;
const reject = { approver: 'lead', decision: 'reject', comment: 'recorded' } as const;

async function askedAbout(recorder: Recorder, orderId: string) {
  const order = await recorder.startOrder(orderId, large);
  await recorder.until(order, 'awaiting_approval');
  const approval = recorder.approvalOf(orderId);
  await recorder.told(approval);
  return { order, approval };
}

/** How to produce each outcome of an approval, and of an order that waits for one. */
export const approvalRecordings: Record<string, Recording> = {
  'approval-approved': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.told(handle);
    await handle.executeUpdate(decideUpdate, { args: [approve] });
    return await ended(handle);
  },
  'approval-rejected-by-signal': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.told(handle);
    await handle.signal(decideSignal, { ...reject, approver: 'stranger' });
    await handle.signal(decideSignal, reject);
    return await ended(handle);
  },
  'approval-timed-out-through-stages': async (recorder, approvalId) => {
    const stage = { approvers: [lead], timeoutSeconds: 3, remindEverySeconds: 2 };
    return await ended(await recorder.startApproval(approvalId, { stages: [stage, stage] }));
  },
  'approval-approved-by-time-out': async (recorder, approvalId) => {
    const stages = [{ approvers: [{ id: 'lead' }], timeoutSeconds: 1 }];
    return await ended(await recorder.startApproval(approvalId, { stages, onTimeout: 'approved' }));
  },
  'approval-withdrawn': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.told(handle);
    await handle.executeUpdate(withdrawUpdate, { args: [{ reason: 'recorded' }] });
    return await ended(handle);
  },
  'approval-cancelled': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.told(handle);
    await handle.cancel();
    return await ended(handle);
  },
  'approval-approved-by-webhook-and-reported': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId, {
      stages: [{ approvers: [{ id: 'lead', webhookUrl: recorder.receiverThatAnswers(204) }], timeoutSeconds: 60 }],
      callbackUrl: recorder.receiverThatAnswers(204),
    });
    await recorder.told(handle);
    await handle.signal(decideSignal, { ...approve, via: 'webhook' });
    return await ended(handle);
  },
  'approval-mail-refused-and-report-failed': async (recorder, approvalId) => {
    const email = 'refused@example.com';
    await recorder.outsideWorld('POST', '/mails/refusals', { to: email, code: 550 });
    const handle = await recorder.startApproval(approvalId, {
      stages: [{ approvers: [{ ...lead, email }], timeoutSeconds: 60 }],
      callbackUrl: recorder.receiverThatAnswers(410),
    });
    await recorder.told(handle);
    await handle.executeUpdate(decideUpdate, { args: [approve] });
    return await ended(handle);
  },
  'approval-failed-invalid-input': async (recorder, approvalId) =>
    ended(await recorder.startApproval(approvalId, { stages: [] })),
  'order-approved': async (recorder, orderId) => {
    const { order, approval } = await askedAbout(recorder, orderId);
    await approval.executeUpdate(decideUpdate, { args: [{ ...approve, approver: 'shift-lead' }] });
    const { shipment } = await recorder.until(order, 'awaiting_pickup');
    for (const status of ['accepted', 'in_transit', 'delivered'] as const) {
      await order.signal(shipmentReportedSignal, { orderId, shipmentId: shipment!.shipmentId, status });
    }
    return await ended(order);
  },
  'order-rejected-not-approved': async (recorder, orderId) => {
    const { order, approval } = await askedAbout(recorder, orderId);
    await approval.executeUpdate(decideUpdate, { args: [{ ...reject, approver: 'shift-lead' }] });
    return await ended(order);
  },
  'order-rejected-approval-timed-out': async (recorder, orderId) =>
    ended(await recorder.startOrder(orderId, { ...large, approvalTimeoutSeconds: 1 })),
  'order-rejected-approval-withdrawn': async (recorder, orderId) => {
    const { order, approval } = await askedAbout(recorder, orderId);
    await approval.cancel();
    return await ended(order);
  },
  'order-cancelled-while-awaiting-approval': async (recorder, orderId) => {
    const { order } = await askedAbout(recorder, orderId);
    await order.cancel();
    return await ended(order);
  },
};
