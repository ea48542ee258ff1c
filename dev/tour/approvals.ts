import { approvalResource } from '../../src/schemas/approval.js';
import { orderResource } from '../../src/schemas/order.js';
import type { Guide, Scene } from './guide.js';
import { available, end, place } from './order-steps.js';

const SKU = 'MACHINE-LEVER';

/** Places a large order and waits until somebody was asked about it. */
async function askAbout(guide: Guide, file: string): Promise<{ orderId: string; path: string }> {
  const orderId = await place(guide, file);
  const { approval } = await guide.watch(
    `/v1/orders/${orderId}`,
    orderResource,
    (order) => order.approval !== undefined,
    `order ${orderId} asking for its approval`,
  );
  const path = `/v1/approvals/${approval!.approvalId}`;
  const question = await guide.watch(path, approvalResource, ({ stages }) => stages > 0, 'the question');
  guide.say(`    ${question.title}: stage 1 of ${question.stages}, ${question.approvers.join(', ')} may decide`);
  guide.show(question.workflow);
  return { orderId, path };
}

/** The approval callback: people decide, or nobody does. */
export const approvalScenes: Scene[] = [
  {
    title: 'A large order that is approved by the link in a mail',
    async play(guide) {
      const { orderId, path } = await askAbout(guide, 'order-large.json');
      const { approvers } = approvalResource.parse((await guide.request('GET', path)).body);
      const link = await guide.linkInMail(`${approvers[0]}@example.com`, '/approvals/', orderId);
      if (link === undefined) {
        guide.say('    (no played mailbox here, so the decision comes by the API)');
        await guide.expect(200, 'POST', `${path}/decision`, { approver: approvers[0], decision: 'approve' });
      } else {
        guide.say(`    mail to ${approvers[0]}: ${link.replace(/(.{60}).+/, '$1…')}`);
        guide.check((await guide.page('GET', link)).includes(orderId), 'the page shows the order');
        const { status } = approvalResource.parse((await guide.request('GET', path)).body);
        guide.check(status === 'pending', 'opening the link decided nothing');
        await guide.page('POST', link, { decision: 'approve', comment: 'enjoy' });
      }
      const order = await end(guide, orderId);
      guide.check(order.status === 'completed' && order.approval?.status === 'approved', 'approved, then completed');
      const { decision } = approvalResource.parse((await guide.request('GET', path)).body);
      guide.check(
        decision?.approver === approvers[0],
        `the approval says who decided: ${decision?.approver}, by ${decision?.via}`,
      );
    },
  },
  {
    title: 'A large order that is not approved',
    async play(guide) {
      const before = await available(guide, SKU);
      const { orderId, path } = await askAbout(guide, 'order-large.json');
      const { approvers } = approvalResource.parse((await guide.request('GET', path)).body);
      await guide.expect(403, 'POST', `${path}/decision`, { approver: 'grace', decision: 'approve' });
      const decision = { approver: approvers[0], decision: 'reject', comment: 'not this year' };
      await guide.expect(200, 'POST', `${path}/decision`, decision);
      const order = await end(guide, orderId);
      guide.check(order.reason?.type === 'ApprovalRejected', 'rejected as ApprovalRejected, nobody was charged');
      guide.check((await available(guide, SKU)) === before, 'the stock is back');
    },
  },
  {
    title: 'A large order that nobody decides about in two stages',
    async play(guide) {
      const before = await available(guide, SKU);
      const { orderId, path } = await askAbout(guide, 'order-large-impatient.json');
      const order = await end(guide, orderId);
      guide.check(order.reason?.type === 'ApprovalTimedOut', 'rejected as ApprovalTimedOut');
      const { trail } = approvalResource.parse((await guide.request('GET', path)).body);
      const events = trail.map(({ event }) => event).join(', ');
      guide.check(events === 'requested, escalated, timed_out', `the trail says: ${events}`);
      guide.check((await available(guide, SKU)) === before, 'the stock is back');
    },
  },
];
