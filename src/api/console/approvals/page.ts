import html from 'html-template-tag';
import { orderIdOfApproval, type ApprovalResource } from '../../../schemas/approval.js';
import { formatMoney } from '../../../schemas/shared/money.js';
import { listNames, undecidedConsequence } from '../../../text/undecided.js';
import { decisionFieldsHtml, decisionProblemsHtml, OWN_REQUEST_TEXT } from '../../approvals/decision-fields.js';
import type { DecisionDraft } from '../../approvals/decision-form.js';
import { ANONYMOUS, type Caller } from '../../http/caller.js';
import {
  actionHtml,
  badgeHtml,
  definitionsHtml,
  noticeHtml,
  optionsHtml,
  textareaText,
  timeHtml,
  urlHtml,
} from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { orderPath } from '../orders/list-page.js';
import { deliveriesHtml } from './deliveries.js';
import { isOverdue, STATUS_TONES } from './status.js';
import { timelineHtml } from './timeline.js';

export interface ApprovalPage {
  approval: ApprovalResource;
  caller: Caller;
  /** In open mode, the approver who is selected in the form. */
  decideAs?: string | undefined;
  /** A rejected decision, to show it again. */
  draft?: DecisionDraft;
  /** The reason of a rejected withdrawal, to show it again. */
  withdrawalReason?: string;
  /** Why the last request changed nothing. */
  notice?: string;
  /** The links to other tools. */
  toolsHtml?: string;
}

/** The content of the page of an approval for this caller. */
export function approvalContent(page: ApprovalPage): string {
  const { approval, caller, notice, toolsHtml = '' } = page;
  const { title, status, description } = approval;
  const isOperator = caller.roles.includes('operator');
  return html`<div class="heading">
      <h1 dir="auto">${title}</h1>
      $${badgeHtml(status, STATUS_TONES[status])}
    </div>
    $${notice === undefined ? '' : noticeHtml('bad', html`<p>${notice}</p>`, { alert: true })} $${outcomeHtml(approval)}
    $${factsHtml(approval, isOperator)}
    $${description === undefined ? '' : html`<p class="typed" dir="auto">${description}</p>`}
    $${status === 'pending' ? pendingHtml(page) : ''}
    <h2>What happened</h2>
    $${timelineHtml(approval)} $${isOperator ? deliveriesHtml(approval) : ''} $${toolsHtml}`;
}

const verbOf = { approve: 'Approved', reject: 'Rejected' } as const;

function outcomeHtml({ status, decision, withdrawal, trail }: ApprovalResource): string {
  if (status === 'pending') return '';
  const tone = STATUS_TONES[status];
  const at = decision?.at ?? withdrawal?.at ?? trail.findLast(({ event }) => event === 'timed_out')?.at;
  const comment = decision?.comment ?? withdrawal?.reason;
  const heading = decision
    ? html`${verbOf[decision.decision]} by <strong>${decision.approver}</strong>`
    : { approved: 'Approved', rejected: 'Rejected', timed_out: 'Closed', withdrawn: 'Withdrawn' }[status];
  const why = decision || status === 'withdrawn' ? '' : ', because nobody decided in time';
  return noticeHtml(
    tone,
    html`<p>$${heading}${why}$${at === undefined ? '' : html` on $${timeHtml(at)}`}.</p>
      $${comment === undefined ? '' : html`<blockquote class="typed" dir="auto">${comment}</blockquote>`}`,
  );
}

function factsHtml(approval: ApprovalResource, isOperator: boolean): string {
  const { approvalId, requestedBy, amount, approvers, status } = approval;
  const orderId = orderIdOfApproval(approvalId);
  const isPending = status === 'pending';
  return definitionsHtml([
    ['Amount', amount && html`<strong>${formatMoney(amount)}</strong>`],
    ['Requested by', html`${requestedBy}`],
    ['Order', orderId === undefined ? undefined : orderHtml(orderId, isOperator)],
    ['Who can decide', isPending ? html`${listNames(approvers)}` : undefined],
    ['Decide by', isPending ? deadlineHtml(approval) : undefined],
    ['Approval id', html`<span class="code">${approvalId}</span>`],
  ]);
}

/** Approvers may not open orders, so only operators get a link. */
const orderHtml = (orderId: string, isOperator: boolean): string =>
  isOperator ? html`<a href="$${urlHtml(orderPath(orderId))}">${orderId}</a>` : html`${orderId}`;

function deadlineHtml({ deadline, status, ifUndecided }: ApprovalResource): string | undefined {
  if (deadline === undefined) return undefined;
  const overdue = isOverdue({ status, deadline }) ? badgeHtml('overdue', 'bad') : '';
  const consequence = ifUndecided
    ? html`<span class="hint">If nobody decides by then, ${undecidedConsequence(ifUndecided)}.</span>`
    : '';
  return html`$${timeHtml(deadline)} $${overdue}$${consequence}`;
}

function pendingHtml(page: ApprovalPage): string {
  const { approval, caller } = page;
  const mayWithdraw = caller.roles.includes('operator') || caller.id === approval.requestedBy;
  return [decisionHtml(page), mayWithdraw ? withdrawalHtml(page) : ''].join('');
}

function decisionHtml({ approval, caller, decideAs, draft }: ApprovalPage): string {
  const { approvers, requestedBy, approvalId } = approval;
  if (!caller.roles.includes('approver')) return '';
  if (caller !== ANONYMOUS && !approvers.includes(caller.id)) {
    const why = caller.id === requestedBy ? OWN_REQUEST_TEXT : `Only ${listNames(approvers)} can decide now.`;
    return noticeHtml('neutral', html`<p>${why}</p>`);
  }
  const { comment = '', problems = [] } = draft ?? {};
  // `data-keep`: an update of the page must not change what the approver has typed.
  return html`<form
    class="card decision"
    id="decision"
    data-keep
    method="post"
    action="$${urlHtml(`${CONSOLE_PATH}/approvals/${approvalId}/decision`)}"
  >
    <h2>Your decision</h2>
    $${problems.length === 0 ? '' : noticeHtml('bad', decisionProblemsHtml(problems), { alert: true })}
    $${caller === ANONYMOUS ? approverSelectHtml(approvers, decideAs) : ''}
    $${decisionFieldsHtml({ comment, problems })}
  </form>`;
}

function approverSelectHtml(approvers: readonly string[], decideAs: string | undefined): string {
  return html`<label>
    Decide as
    <span class="hint">There is no sign-in, so choose one of the approvers.</span>
    <select name="approver">
      $${optionsHtml(approvers, decideAs)}
    </select>
  </label>`;
}

function withdrawalHtml({ approval: { approvalId }, withdrawalReason = '' }: ApprovalPage): string {
  return html`<div class="actions">
    $${actionHtml({
      title: 'Withdraw the request',
      consequence: consequenceOfWithdrawal(approvalId),
      path: `${CONSOLE_PATH}/approvals/${approvalId}/withdraw`,
      inputsHtml: html`<label
        >Reason (optional)<textarea name="reason">${textareaText(withdrawalReason)}</textarea>
      </label>`,
      confirm: 'Withdraw the request',
      isDangerous: true,
    })}
  </div>`;
}

const consequenceOfWithdrawal = (approvalId: string): string =>
  orderIdOfApproval(approvalId) === undefined
    ? 'Nobody can decide after that. A withdrawal is final.'
    : 'Nobody can decide after that, and the order is rejected. A withdrawal is final.';
