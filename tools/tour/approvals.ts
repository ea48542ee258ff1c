import type { Schemas } from '../api-client/client.js';
import type { TourClient, Scenario } from './tour-client.js';
import { readAvailableStock, waitForOrderEnd, placeOrder, orderReader } from './order-steps.js';

const SKU = 'MACHINE-LEVER';

const approvalReader = (client: TourClient, approvalId: string) => () =>
  client.silentApi.GET('/v1/approvals/{approvalId}', { params: { path: { approvalId } } });

const postDecision = (client: TourClient, approvalId: string, body: Schemas['DecisionRequest']) =>
  client.api.POST('/v1/approvals/{approvalId}/decision', { params: { path: { approvalId } }, body });

/** Places a large order and waits until its approvers are notified. */
async function placeLargeOrder(client: TourClient, file: string) {
  const orderId = await placeOrder(client, file);
  const order = await client.pollUntil(
    orderReader(client, orderId),
    (order) => order.approval !== undefined,
    `order ${orderId} waiting for its approval`,
  );
  const { approvalId } = order.approval!;
  const getApproval = approvalReader(client, approvalId);
  const approval = await client.pollUntil(
    getApproval,
    ({ trail }) => trail.length > 0,
    `the notification of the approvers of ${approvalId}`,
  );
  client.print(`    ${approval.title}: ${approval.approvers.join(', ')} may decide; the first decision counts`);
  if (approval.workflow) client.printWorkflowLink(approval.workflow);
  return {
    orderId,
    approvalId,
    approver: approval.approvers[0]!,
    readApproval: () => client.expectStatus(200, getApproval()),
  };
}

/** Scenarios of approvals: approved, rejected and timed out. */
export const approvalScenarios: Scenario[] = [
  {
    title: 'A large order that is approved by the link in a mail',
    async run(client) {
      const { orderId, approvalId, approver, readApproval } = await placeLargeOrder(client, 'order-large.json');
      const link = await client.findMailLink(`${approver}@example.com`, '/approvals/', orderId);
      if (link === undefined) {
        client.print('    (no fake mailbox, so the tour decides by the API)');
        await client.expectStatus(200, postDecision(client, approvalId, { approver, decision: 'approve' }));
      } else {
        client.print(`    mail to ${approver}: ${link.replace(/(.{60}).+/, '$1…')}`);
        client.assert((await client.requestPage('GET', link)).includes(orderId), 'the page shows the order');
        client.assert((await readApproval()).status === 'pending', 'opening the link decided nothing');
        await client.requestPage('POST', link, { decision: 'approve', comment: 'enjoy' });
      }
      const order = await waitForOrderEnd(client, orderId);
      client.assert(order.status === 'completed' && order.approval?.status === 'approved', 'approved, then completed');
      const { decision } = await readApproval();
      client.assert(
        decision?.approver === approver,
        `the approval names its approver: ${decision?.approver}, by ${decision?.via}`,
      );
    },
  },
  {
    title: 'A large order that is not approved',
    async run(client) {
      const before = await readAvailableStock(client, SKU);
      const { orderId, approvalId, approver } = await placeLargeOrder(client, 'order-large.json');
      await client.expectError(403, postDecision(client, approvalId, { approver: 'grace', decision: 'approve' }));
      const comment = 'not this year';
      await client.expectStatus(200, postDecision(client, approvalId, { approver, decision: 'reject', comment }));
      const order = await waitForOrderEnd(client, orderId);
      client.assert(order.reason?.type === 'ApprovalRejected', 'rejected as ApprovalRejected, without a charge');
      client.assert((await readAvailableStock(client, SKU)) === before, 'the stock is back');
    },
  },
  {
    title: 'A large order that nobody decides: both approval stages time out',
    async run(client) {
      const before = await readAvailableStock(client, SKU);
      const { orderId, readApproval } = await placeLargeOrder(client, 'order-approval-timeout.json');
      const order = await waitForOrderEnd(client, orderId);
      client.assert(order.reason?.type === 'ApprovalTimedOut', 'rejected as ApprovalTimedOut');
      const events = (await readApproval()).trail.map(({ event }) => event).join(', ');
      client.assert(events === 'requested, escalated, timed_out', `the trail says: ${events}`);
      client.assert((await readAvailableStock(client, SKU)) === before, 'the stock is back');
    },
  },
];
