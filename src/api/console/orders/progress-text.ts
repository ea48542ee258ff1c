import html from 'html-template-tag';
import type { OrderResource, OrderStage } from '../../../schemas/order.js';
import type { Retrying, Waiting } from '../../../schemas/shared/execution.js';
import type { KnownOrder } from '../../orders/known.js';
import { reasonText, timeHtml } from '../components.js';
import { capitalize } from '../forms/problems.js';
import { isCancelling, isUnreserved } from './saga-states.js';
import { isCompensation, titleOf } from './saga-steps.js';
import { isComplete } from './snapshot.js';

const STAGE_TEXTS: Record<Exclude<OrderStage, 'done'>, string> = {
  reserving_stock: 'Prices the lines and reserves the stock.',
  awaiting_approval: 'Waits for the approval.',
  charging_payment: 'Charges the customer.',
  requesting_shipment: 'Requests the shipment from the carrier.',
  awaiting_pickup: 'Waits until the carrier picks up the parcel.',
  in_transit: 'The parcel is in transit. Waits for the delivery.',
  compensating: 'Compensates the steps that have run, the newest first.',
};

const CANCELLING = 'Cancelling: the order stops once the running step has ended. Then its steps are rolled back.';

/** The texts of a cancellation that waits for no step. */
const CANCELLING_TEXTS: Partial<Record<OrderStage, string>> = {
  awaiting_approval: 'Cancelling: the approval is withdrawn. Then the steps of the order are rolled back.',
  awaiting_pickup: 'Cancelling: the shipment is cancelled first. Then the other steps are rolled back.',
  compensating: 'Cancelling: rolls back the steps that have run, the newest first.',
};

/** A sentence about what happens now, and what delays it. Screen readers read changes aloud. */
export const nowHtml = (order: OrderResource | KnownOrder): string => html`
  <p class="now" role="status">$${sentenceHtml(order)}</p>
  $${delaysHtml(order, isComplete(order) ? order.compensations : [])}
`;

function doneSentence({ status, reason }: OrderResource): string {
  if (!reason?.message) return html`The order is ${status}.`;
  // Messages of partners can end with a full stop.
  const message = reason.message.replace(/\.$/, '');
  // The message says that the order was cancelled.
  return reason.type === 'Cancelled' ? html`${capitalize(message)}.` : html`The order is ${status}: ${message}.`;
}

function sentenceHtml(order: OrderResource | KnownOrder): string {
  if (!isComplete(order)) return knownSentence(order);
  const { stage, status, compensations, delivery } = order;
  if (stage === 'done') return doneSentence(order);
  if (status === 'compensation_stuck') return stuckSentence(compensations);
  if (delivery?.overdueSince !== undefined) {
    return html`The delivery is overdue: the carrier reported no new status in time. An operator decides, or a report of
    the carrier arrives.`;
  }
  return html`${isCancelling(order) ? (CANCELLING_TEXTS[stage] ?? CANCELLING) : STAGE_TEXTS[stage]}`;
}

function stuckSentence(compensations: OrderResource['compensations']): string {
  const stuck = compensations
    .filter(({ status }) => status === 'stuck')
    .map(({ name, attempt, reason, nextAttemptAt }) => {
      const failure = reason?.message ? ` Last failure: ${reason.message}.` : '';
      const next = nextAttemptAt ? html` Attempt ${String(attempt + 1)} starts at $${timeHtml(nextAttemptAt)}.` : '';
      return html`“${titleOf(name)}” has stopped, because every call of attempt ${String(attempt)}
      failed.${failure}$${next}`;
    });
  return html`$${stuck.join(' ')} An operator can retry or skip it now.`;
}

function knownSentence(order: KnownOrder): string {
  const { status, stage, closedAt } = order;
  if (closedAt) return html`The order is ${status}.`;
  if (isUnreserved(order)) return 'The order waits for a worker, which prices the lines and reserves the stock.';
  return stage ? html`The store recorded this stage last: ${stage.replaceAll('_', ' ')}.` : 'The stage is unknown.';
}

function delaysHtml(
  { retrying = [], waiting = [] }: Pick<OrderResource, 'retrying' | 'waiting'>,
  compensations: OrderResource['compensations'],
): string {
  const items = [...retrying.map((pending) => retryHtml(pending, compensations)), ...waiting.map(waitHtml)];
  return items.length
    ? html`<ul class="delays">
        $${items.join('')}
      </ul>`
    : '';
}

/** An attempt of a compensation makes several calls. All other activities are called once per attempt. */
function retryHtml(
  { step, attempt, nextAttemptAt, pausedAt, lastFailure }: Retrying[number],
  compensations: OrderResource['compensations'],
): string {
  const compensation = compensations.find(({ name }) => name === step);
  const unit = isCompensation(step) ? 'call' : 'attempt';
  const progress = `${compensation ? `attempt ${compensation.attempt}, ` : ''}${unit} ${attempt}`;
  const when = pausedAt
    ? html`An operator paused it at $${timeHtml(pausedAt)}.`
    : nextAttemptAt
      ? html`The ${unit} starts at $${timeHtml(nextAttemptAt)}, or runs since then.`
      : '';
  const failure = lastFailure?.message ? html` Last failure: ${reasonText(lastFailure)}` : '';
  return html`<li><strong>${titleOf(step)}</strong> is retried: ${progress}. $${when}$${failure}</li>`;
}

function waitHtml({ step, taskQueue, since, pausedAt }: Waiting[number]): string {
  const where = taskQueue ? html` on task queue <span class="code">${taskQueue}</span>` : '';
  const why = pausedAt ? html`an operator paused it at $${timeHtml(pausedAt)}` : 'no worker has started it';
  return html`<li><strong>${titleOf(step)}</strong> waits$${where} since $${timeHtml(since)}: $${why}.</li>`;
}
