import type { Schemas } from '../api-client/client.js';
import type { TourClient, Scenario } from './tour-client.js';
import { readAvailableStock, waitForOrderEnd, placeOrder, orderReader } from './order-steps.js';

const SKU = 'MACHINE-LEVER';

const approvalReader = (guide: TourClient, approvalId: string) => () =>
  guide.silentApi.GET('/v1/approvals/{approvalId}', { params: { path: { approvalId } } });

const postDecision = (guide: TourClient, approvalId: string, body: Schemas['DecisionRequest']) =>
  guide.api.POST('/v1/approvals/{approvalId}/decision', { params: { path: { approvalId } }, body });

/** Places a large order and waits until its approvers are notified. */
async function placeLargeOrder(guide: TourClient, file: string) {
  const orderId = await placeOrder(guide, file);
  const { approval } = await guide.pollUntil(
    orderReader(guide, orderId),
    (order) => order.approval !== undefined,
    `order ${orderId} waiting for its approval`,
  );
  const { approvalId } = approval!;
  const look = approvalReader(guide, approvalId);
  const question = await guide.pollUntil(look, ({ trail }) => trail.length > 0, 'the question');
  guide.print(`    ${question.title}: stage 1 of ${question.stages}, ${question.approvers.join(', ')} may decide`);
  if (question.workflow) guide.printWorkflowLink(question.workflow);
  return { orderId, approvalId, approver: question.approvers[0]!, seen: () => guide.expectStatus(200, look()) };
}

/** The approval: approved, rejected, and timed out. */
export const approvalScenarios: Scenario[] = [
  {
    title: 'A large order that is approved by the link in a mail',
    async run(guide) {
      const { orderId, approvalId, approver, seen } = await placeLargeOrder(guide, 'order-large.json');
      const link = await guide.findMailLink(`${approver}@example.com`, '/approvals/', orderId);
      if (link === undefined) {
        guide.print('    (no fake mailbox, so the tour decides by the API)');
        await guide.expectStatus(200, postDecision(guide, approvalId, { approver, decision: 'approve' }));
      } else {
        guide.print(`    mail to ${approver}: ${link.replace(/(.{60}).+/, '$1…')}`);
        guide.assert((await guide.requestPage('GET', link)).includes(orderId), 'the page shows the order');
        guide.assert((await seen()).status === 'pending', 'opening the link decided nothing');
        await guide.requestPage('POST', link, { decision: 'approve', comment: 'enjoy' });
      }
      const order = await waitForOrderEnd(guide, orderId);
      guide.assert(order.status === 'completed' && order.approval?.status === 'approved', 'approved, then completed');
      const { decision: made } = await seen();
      guide.assert(made?.approver === approver, `the approval names its approver: ${made?.approver}, by ${made?.via}`);
    },
  },
  {
    title: 'A large order that is not approved',
    async run(guide) {
      const before = await readAvailableStock(guide, SKU);
      const { orderId, approvalId, approver } = await placeLargeOrder(guide, 'order-large.json');
      await guide.expectError(403, postDecision(guide, approvalId, { approver: 'grace', decision: 'approve' }));
      const comment = 'not this year';
      await guide.expectStatus(200, postDecision(guide, approvalId, { approver, decision: 'reject', comment }));
      const order = await waitForOrderEnd(guide, orderId);
      guide.assert(order.reason?.type === 'ApprovalRejected', 'rejected as ApprovalRejected, without a charge');
      guide.assert((await readAvailableStock(guide, SKU)) === before, 'the stock is back');
    },
  },
  {
    title: 'A large order without a decision in two stages',
    async run(guide) {
      const before = await readAvailableStock(guide, SKU);
      const { orderId, seen } = await placeLargeOrder(guide, 'order-large-impatient.json');
      const order = await waitForOrderEnd(guide, orderId);
      guide.assert(order.reason?.type === 'ApprovalTimedOut', 'rejected as ApprovalTimedOut');
      const events = (await seen()).trail.map(({ event }) => event).join(', ');
      guide.assert(events === 'requested, escalated, timed_out', `the trail says: ${events}`);
      guide.assert((await readAvailableStock(guide, SKU)) === before, 'the stock is back');
    },
  },
];
