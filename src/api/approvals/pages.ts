import html from 'html-template-tag';
import type { ApprovalView } from '../../schemas/approval.js';
import { formatMoney } from '../../schemas/shared/money.js';
import { listNames, undecidedConsequence } from '../../text/undecided.js';
import { formatUtcMinute } from '../../text/utc-minute.js';
import { renderPage } from '../http/html/html-layout.js';
import { decisionFieldsHtml, decisionProblemsHtml, OWN_REQUEST_TEXT } from './decision-fields.js';
import type { DecisionDraft } from './decision-form.js';

interface PageContext {
  approval: ApprovalView;
  /** The approver who opened the page. */
  approver: string;
  now: Date;
}

/** The page of an open approval, with a form to decide. */
export function decisionPage(context: PageContext, draft: DecisionDraft = { comment: '', problems: [] }): string {
  const { title } = context.approval;
  const content = [errorSummary(draft.problems), requestSection(context), decisionFormHtml(draft)];
  return renderPage(draft.problems.length ? `Error: ${title}` : `Please decide: ${title}`, content.join(''));
}

/** The page for an approver who requested the approval and so cannot decide. */
export function ownRequestPage(context: PageContext, { hasTriedToDecide }: { hasTriedToDecide: boolean }): string {
  const message = html`<p>${OWN_REQUEST_TEXT}</p>`;
  const content = [
    requestSection(context),
    hasTriedToDecide ? messageBox('problem', message, 'alert') : messageBox('note', message),
  ];
  return renderPage(context.approval.title, content.join(''));
}

/**
 * The page of a closed approval. `hasDecidedTooLate`: the approver has just submitted a decision that does not count.
 */
export function outcomePage(
  { approval, approver }: Omit<PageContext, 'now'>,
  { hasDecidedTooLate }: { hasDecidedTooLate: boolean },
): string {
  const { title, decision, requestedBy } = approval;
  const { heading, at, comment } = outcomeOf(approval, approver);
  const isMine = decision?.approver === approver;
  const late = isMine
    ? 'You have already decided. A decision cannot be changed.'
    : 'Your decision came too late and does not count.';
  const content = [
    hasDecidedTooLate ? messageBox('problem', html`<p>${late}</p>`, 'alert') : '',
    html`<p class="kind">${isMine ? 'You have decided' : decision ? 'This is already decided' : 'This is closed'}</p>`,
    html`<h1 dir="auto">${title}</h1>`,
    messageBox(
      approval.status,
      html`<h2>${heading}</h2>
        $${at === undefined ? '' : html`<p>On $${timeElement(at)}</p>`}
        $${comment === undefined ? '' : html`<blockquote class="typed" dir="auto">${comment}</blockquote>`}`,
    ),
    descriptionSection(approval),
    definitionList([...amountItems(approval), ['Requested by', escapeHtml(requestedBy)]]),
    html`<p class="more">There is nothing left for you to do. You can close this page.</p>`,
  ];
  return renderPage(`${heading}: ${title}`, content.join(''));
}

/** The page for a link of an earlier stage. */
export function stagePassedPage({ approvers, title }: ApprovalView): string {
  return messagePage('This approval was escalated', [
    `“${title}” was not decided in time, so it went to ${listNames(approvers)}.`,
    'This link has expired. If you are one of them, use the link in the newest mail. Otherwise, there is nothing left for you to do.',
  ]);
}

/** A page with a message instead of an approval. `sentences` are plain text. */
export function messagePage(title: string, sentences: string[]): string {
  return renderPage(
    title,
    html`<h1>${title}</h1>
      $${paragraphs(sentences)}`,
  );
}

/** The page for a 503. If the approver submitted the form, the page contains the form and the comment again. */
export function unavailablePage(unsent?: { comment: string }): string {
  const title = 'Please try again in a moment';
  const sentences = unsent
    ? ['We do not know whether we received your decision. Please send it again: it counts only once.']
    : ['Part of our service is unavailable. Please reload this page: your link stays valid.'];
  const form = unsent ? decisionFormHtml({ comment: unsent.comment, problems: [] }) : '';
  return renderPage(
    title,
    html`<h1>${title}</h1>
      $${messageBox('problem', paragraphs(sentences), 'alert')} $${form}`,
  );
}

function requestSection({ approval, approver, now }: PageContext): string {
  const { title, requestedBy, deadline } = approval;
  return [
    html`<p class="kind">Your approval is requested</p>`,
    html`<h1 dir="auto">${title}</h1>`,
    descriptionSection(approval),
    definitionList([
      ...amountItems(approval),
      ['Requested by', escapeHtml(requestedBy)],
      ['You decide as', escapeHtml(approver)],
      ...(deadline ? [['Deadline', deadlineHtml(approval, deadline, now)] satisfies DefinitionItem] : []),
    ]),
  ].join('');
}

const decisionFormHtml = (draft: DecisionDraft): string =>
  html`<form method="post">$${decisionFieldsHtml(draft)}</form>`;

const errorSummary = (problems: DecisionDraft['problems']): string =>
  problems.length === 0 ? '' : messageBox('problem', decisionProblemsHtml(problems), 'alert');

function outcomeOf({ status, decision, withdrawal, trail }: ApprovalView, approver: string): Outcome {
  if (status === 'withdrawn') return { heading: 'Withdrawn', at: withdrawal?.at, comment: withdrawal?.reason };
  const verdict = status === 'approved' ? 'Approved' : 'Rejected';
  if (decision) {
    const by = decision.approver === approver ? 'you' : decision.approver;
    return { heading: `${verdict} by ${by}`, at: decision.at, comment: decision.comment };
  }
  const late = 'nobody decided in time';
  return {
    heading: status === 'timed_out' ? `Closed, because ${late}` : `${verdict}, because ${late}`,
    at: trail.findLast(({ event }) => event === 'timed_out')?.at,
  };
}

interface Outcome {
  heading: string;
  at?: string | undefined;
  comment?: string | undefined;
}

function descriptionSection({ description }: ApprovalView): string {
  return description === undefined ? '' : html`<p class="typed" dir="auto">${description}</p>`;
}

/** An entry of a definition list. `name` is plain text, `value` is HTML. */
type DefinitionItem = [name: string, value: string];

function definitionList(list: DefinitionItem[]): string {
  return html`<dl>
    ${list.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>$${value}</dd>
        </div>`,
    )}
  </dl>`;
}

function amountItems({ amount }: ApprovalView): DefinitionItem[] {
  return amount ? [['Amount', html`<span class="amount">${formatMoney(amount)}</span>`]] : [];
}

function deadlineHtml({ ifUndecided }: ApprovalView, deadline: string, now: Date): string {
  const consequence = ifUndecided
    ? html`<br /><span class="more">If nobody decides by then, ${undecidedConsequence(ifUndecided)}.</span>`
    : '';
  return html`${formatRemainingTime(new Date(deadline), now)},
    <span class="more">until $${timeElement(deadline)}</span>$${consequence}`;
}

/** Formats the time until the deadline in the two largest units, for example "2 days 3 hours left". */
export function formatRemainingTime(deadline: Date, now: Date): string {
  const minutes = Math.floor((deadline.getTime() - now.getTime()) / 60_000);
  if (minutes < 0) return 'expired';
  if (minutes === 0) return 'less than a minute left';
  const units: [number, string][] = [
    [Math.floor(minutes / 1440), 'day'],
    [Math.floor(minutes / 60) % 24, 'hour'],
    [minutes % 60, 'minute'],
  ];
  const first = units.findIndex(([count]) => count > 0);
  const largest = units.slice(first, first + 2).filter(([count]) => count > 0);
  return `${largest.map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`).join(' ')} left`;
}

function timeElement(at: string): string {
  return html`<time datetime="${at}">${formatUtcMinute(at)}</time>`;
}

function messageBox(kind: string, content: string, role?: 'alert'): string {
  return role
    ? html`<div class="box ${kind}" role="alert">$${content}</div>`
    : html`<div class="box ${kind}">$${content}</div>`;
}

const escapeHtml = (value: string) => html`${value}`;

const paragraphs = (sentences: string[]) => sentences.map((sentence) => html`<p>${sentence}</p>`).join('');
