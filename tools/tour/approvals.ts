import type { Schemas } from '../api-client/client.js';
import type { Guide, Scene } from './guide.js';
import { available, end, place, reading } from './order-steps.js';

const SKU = 'MACHINE-LEVER';

const readingApproval = (guide: Guide, approvalId: string) => () =>
  guide.quiet.GET('/v1/approvals/{approvalId}', { params: { path: { approvalId } } });

const decision = (guide: Guide, approvalId: string, body: Schemas['DecisionRequest']) =>
  guide.api.POST('/v1/approvals/{approvalId}/decision', { params: { path: { approvalId } }, body });

/** Places a large order and waits until its approvers are notified. */
async function askAbout(guide: Guide, file: string) {
  const orderId = await place(guide, file);
  const { approval } = await guide.watch(
    reading(guide, orderId),
    (order) => order.approval !== undefined,
    `order ${orderId} asking for its approval`,
  );
  const { approvalId } = approval!;
  const look = readingApproval(guide, approvalId);
  const question = await guide.watch(look, ({ trail }) => trail.length > 0, 'the question');
  guide.say(`    ${question.title}: stage 1 of ${question.stages}, ${question.approvers.join(', ')} may decide`);
  if (question.workflow) guide.show(question.workflow);
  return { orderId, approvalId, approver: question.approvers[0]!, seen: () => guide.expect(200, look()) };
}

/** The approval: approved, rejected, and timed out. */
export const approvalScenes: Scene[] = [
  {
    title: 'A large order that is approved by the link in a mail',
    async play(guide) {
      const { orderId, approvalId, approver, seen } = await askAbout(guide, 'order-large.json');
      const link = await guide.linkInMail(`${approver}@example.com`, '/approvals/', orderId);
      if (link === undefined) {
        guide.say('    (no played mailbox here, so the decision comes by the API)');
        await guide.expect(200, decision(guide, approvalId, { approver, decision: 'approve' }));
      } else {
        guide.say(`    mail to ${approver}: ${link.replace(/(.{60}).+/, '$1…')}`);
        guide.check((await guide.page('GET', link)).includes(orderId), 'the page shows the order');
        guide.check((await seen()).status === 'pending', 'opening the link decided nothing');
        await guide.page('POST', link, { decision: 'approve', comment: 'enjoy' });
      }
      const order = await end(guide, orderId);
      guide.check(order.status === 'completed' && order.approval?.status === 'approved', 'approved, then completed');
      const { decision: made } = await seen();
      guide.check(made?.approver === approver, `the approval says who decided: ${made?.approver}, by ${made?.via}`);
    },
  },
  {
    title: 'A large order that is not approved',
    async play(guide) {
      const before = await available(guide, SKU);
      const { orderId, approvalId, approver } = await askAbout(guide, 'order-large.json');
      await guide.expectRefusal(403, decision(guide, approvalId, { approver: 'grace', decision: 'approve' }));
      const comment = 'not this year';
      await guide.expect(200, decision(guide, approvalId, { approver, decision: 'reject', comment }));
      const order = await end(guide, orderId);
      guide.check(order.reason?.type === 'ApprovalRejected', 'rejected as ApprovalRejected, nobody was charged');
      guide.check((await available(guide, SKU)) === before, 'the stock is back');
    },
  },
  {
    title: 'A large order that nobody decides about in two stages',
    async play(guide) {
      const before = await available(guide, SKU);
      const { orderId, seen } = await askAbout(guide, 'order-large-impatient.json');
      const order = await end(guide, orderId);
      guide.check(order.reason?.type === 'ApprovalTimedOut', 'rejected as ApprovalTimedOut');
      const events = (await seen()).trail.map(({ event }) => event).join(', ');
      guide.check(events === 'requested, escalated, timed_out', `the trail says: ${events}`);
      guide.check((await available(guide, SKU)) === before, 'the stock is back');
    },
  },
];
