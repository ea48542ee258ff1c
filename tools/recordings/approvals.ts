import { decideSignal, decideUpdate, withdrawUpdate } from '../../src/workflows/approval/contract.js';
import { shipmentReportedSignal } from '../../src/workflows/order/contract.js';
import { waitForClose, type Recorder, type Recording } from './recorder.js';

const leadApprover = { id: 'lead', email: 'lead@example.com' };
const largeOrder = { lines: [{ sku: 'MACHINE-LEVER', quantity: 1 }] };
const approveDecision = { approver: 'lead', decision: 'approve' } as const;
const rejectDecision = { approver: 'lead', decision: 'reject', comment: 'recorded' } as const;

async function startOrderAwaitingApproval(recorder: Recorder, orderId: string) {
  const order = await recorder.startOrder(orderId, largeOrder);
  await recorder.waitForState(order, 'awaiting_approval');
  const approval = recorder.getOrderApproval(orderId);
  await recorder.waitForNotifications(approval);
  return { order, approval };
}

/** The recordings of approvals, and of orders that wait for an approval. */
export const approvalRecordings: Record<string, Recording> = {
  'approval-approved': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.waitForNotifications(handle);
    await handle.executeUpdate(decideUpdate, { args: [approveDecision] });
    return await waitForClose(handle);
  },
  'approval-rejected-by-signal': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.waitForNotifications(handle);
    await handle.signal(decideSignal, { ...rejectDecision, approver: 'stranger' });
    await handle.signal(decideSignal, rejectDecision);
    return await waitForClose(handle);
  },
  'approval-timed-out-through-stages': async (recorder, approvalId) => {
    const stage = { approvers: [leadApprover], timeoutSeconds: 3, remindEverySeconds: 2 };
    return await waitForClose(await recorder.startApproval(approvalId, { stages: [stage, stage] }));
  },
  'approval-approved-on-timeout': async (recorder, approvalId) => {
    const stages = [{ approvers: [{ id: 'lead' }], timeoutSeconds: 1 }];
    return await waitForClose(await recorder.startApproval(approvalId, { stages, onTimeout: 'approved' }));
  },
  'approval-withdrawn': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.waitForNotifications(handle);
    await handle.executeUpdate(withdrawUpdate, { args: [{ reason: 'recorded' }] });
    return await waitForClose(handle);
  },
  'approval-cancelled': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId);
    await recorder.waitForNotifications(handle);
    await handle.cancel();
    return await waitForClose(handle);
  },
  'approval-approved-by-webhook-with-callback': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId, {
      stages: [{ approvers: [{ id: 'lead', webhookUrl: recorder.webhookReceiverUrl(204) }], timeoutSeconds: 60 }],
      callbackUrl: recorder.webhookReceiverUrl(204),
    });
    await recorder.waitForNotifications(handle);
    await handle.signal(decideSignal, { ...approveDecision, via: 'webhook' });
    return await waitForClose(handle);
  },
  'approval-mail-rejected-and-callback-failed': async (recorder, approvalId) => {
    const email = 'refused@example.com';
    await recorder.callFakes('POST', '/mails/faults', { to: email, code: 550 });
    const handle = await recorder.startApproval(approvalId, {
      stages: [{ approvers: [{ ...leadApprover, email }], timeoutSeconds: 60 }],
      callbackUrl: recorder.webhookReceiverUrl(410),
    });
    await recorder.waitForNotifications(handle);
    await handle.executeUpdate(decideUpdate, { args: [approveDecision] });
    return await waitForClose(handle);
  },
  'approval-approved-in-slack-after-escalation': async (recorder, approvalId) => {
    const stages = [
      { approvers: [{ id: 'shift-lead' }], timeoutSeconds: 2 },
      { approvers: [{ id: 'manager', email: 'manager@example.com' }], timeoutSeconds: 60 },
    ];
    const handle = await recorder.startApproval(approvalId, { stages });
    await recorder.waitForNotifications(handle, 3);
    await handle.signal(decideSignal, {
      approver: 'manager',
      decision: 'approve',
      comment: 'recorded',
      via: 'slack',
      stage: 2,
    });
    return await waitForClose(handle);
  },
  'approval-rejected-in-slack': async (recorder, approvalId) => {
    const handle = await recorder.startApproval(approvalId, {
      stages: [{ approvers: [{ id: 'shift-lead' }], timeoutSeconds: 60 }],
    });
    await recorder.waitForNotifications(handle, 1);
    await handle.signal(decideSignal, { approver: 'shift-lead', decision: 'reject', via: 'slack', stage: 1 });
    return await waitForClose(handle);
  },
  'approval-failed-invalid-input': async (recorder, approvalId) =>
    waitForClose(await recorder.startApproval(approvalId, { stages: [] })),
  'order-approved': async (recorder, orderId) => {
    const { order, approval } = await startOrderAwaitingApproval(recorder, orderId);
    await approval.executeUpdate(decideUpdate, { args: [{ ...approveDecision, approver: 'shift-lead' }] });
    const { shipment } = await recorder.waitForState(order, 'awaiting_pickup');
    for (const status of ['accepted', 'in_transit', 'delivered'] as const) {
      await order.signal(shipmentReportedSignal, { orderId, shipmentId: shipment!.shipmentId, status });
    }
    return await waitForClose(order);
  },
  'order-rejected-not-approved': async (recorder, orderId) => {
    const { order, approval } = await startOrderAwaitingApproval(recorder, orderId);
    await approval.executeUpdate(decideUpdate, { args: [{ ...rejectDecision, approver: 'shift-lead' }] });
    return await waitForClose(order);
  },
  'order-rejected-approval-timed-out': async (recorder, orderId) =>
    waitForClose(await recorder.startOrder(orderId, { ...largeOrder, approvalTimeoutSeconds: 1 })),
  'order-rejected-approval-withdrawn': async (recorder, orderId) => {
    const { order, approval } = await startOrderAwaitingApproval(recorder, orderId);
    await approval.cancel();
    return await waitForClose(order);
  },
  'order-cancelled-while-awaiting-approval': async (recorder, orderId) => {
    const { order } = await startOrderAwaitingApproval(recorder, orderId);
    await order.cancel();
    return await waitForClose(order);
  },
};

const APPROVED_ORDERS = [
  'order-approved',
  'order-rejected-not-approved',
  'order-rejected-approval-timed-out',
  'order-rejected-approval-withdrawn',
  'order-cancelled-while-awaiting-approval',
] as const;

/** The recordings of orders that request their approvals over Nexus. */
export const nexusRecordings: Record<string, Recording> = Object.fromEntries(
  APPROVED_ORDERS.map((name) => [`nexus-${name}`, approvalRecordings[name]!]),
);
