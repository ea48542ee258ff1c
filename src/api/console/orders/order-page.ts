import html from 'html-template-tag';
import type { OrderResource } from '../../../schemas/order.js';
import { orderWorkflowId } from '../../../workflows/order/contract.js';
import type { AppDependencies } from '../../dependencies.js';
import type { Caller } from '../../http/caller.js';
import type { KnownOrder } from '../../orders/known.js';
import { badgeHtml, noticeHtml, timeHtml, urlHtml } from '../components.js';
import { otherToolsHtml } from '../workflow-links.js';
import type { FormDraft } from './action-forms.js';
import { orderActionsHtml } from './actions.js';
import { ORDERS_PATH } from './list-page.js';
import { orderFactsHtml } from './order-facts.js';
import { nowHtml } from './progress-text.js';
import { sagaPictureHtml } from './saga-picture.js';
import { isCancelling, sagaStepsOf } from './saga-states.js';
import { isComplete, type OrderSnapshot } from './snapshot.js';
import { STATUS_TONES } from './statuses.js';

interface OrderPage {
  snapshot: OrderSnapshot;
  caller: Caller;
  deps: Pick<AppDependencies, 'client' | 'links'>;
  /** The last complete order that this viewer saw. Shown while no worker answers. */
  lastSeen?: { order: OrderResource; at: string } | undefined;
  /** Why the form of the caller had no effect. */
  formProblem?: string | undefined;
  draft?: FormDraft | undefined;
}

/** The content of the page of an order. */
export function orderHtml({ snapshot, caller, deps, lastSeen, formProblem, draft }: OrderPage): string {
  const { orderId, order: current } = snapshot;
  const order = mergeLastSeen(current, lastSeen?.order);
  const runId = order && isComplete(order) ? order.workflow.runId : undefined;
  const apiPath = `/v1/orders/${orderId}`;
  const links = otherToolsHtml(deps, caller, { workflowId: orderWorkflowId(orderId), runId, apiPath });
  return html`<p class="back"><a href="$${ORDERS_PATH}">Orders</a></p>
    <div class="heading">
      <h1>Order <span class="code">${orderId}</span></h1>
      $${order ? badgeHtml(order.status, STATUS_TONES[order.status]) : ''}
      $${order && isComplete(order) && isCancelling(order) ? badgeHtml('cancelling', 'attention') : ''}
    </div>
    $${formProblem === undefined ? '' : formProblemHtml(orderId, formProblem)}
    $${unavailableHtml(snapshot, lastSeen?.at)}
    $${order ? progressHtml(order, current, caller, draft) + orderFactsHtml(order) : ''} $${links}`;
}

/** Shows the steps that the viewer saw last, with the facts that are known now. */
function mergeLastSeen(
  current: OrderResource | KnownOrder | undefined,
  lastSeen: OrderResource | undefined,
): OrderResource | KnownOrder | undefined {
  if (!lastSeen || (current && isComplete(current))) return current;
  const { retrying: _, waiting: __, ...seen } = lastSeen;
  if (!current) return seen;
  const { status, retrying, waiting } = current;
  return { ...seen, status, ...(retrying && { retrying }), ...(waiting && { waiting }) };
}

const formProblemHtml = (orderId: string, problem: string): string =>
  noticeHtml(
    'bad',
    html`<p>${problem}</p>
      <p><a href="$${urlHtml(`${ORDERS_PATH}/${orderId}`)}">Show the order as it is now</a></p>`,
    { alert: true },
  );

function unavailableHtml({ problem, order }: OrderSnapshot, seenAt: string | undefined): string {
  if (!problem) return '';
  const shown = seenAt
    ? html`The steps are as they were seen at $${timeHtml(seenAt)}.`
    : order
      ? 'This page shows what Temporal and the store know without a worker.'
      : '';
  return noticeHtml(
    'attention',
    html`<p><strong>The current state is unavailable: ${problem.message}.</strong></p>
      <p>
        No order is lost: Temporal keeps its state, and the order continues when the service is back. This page then
        shows it. $${shown}
      </p>`,
  );
}

function progressHtml(
  order: OrderResource | KnownOrder,
  current: OrderResource | KnownOrder | undefined,
  caller: Caller,
  draft: FormDraft | undefined,
): string {
  // Actions need a worker.
  const actions = current && isComplete(current) ? orderActionsHtml(current, caller, draft) : '';
  return html`<section class="card progress" aria-labelledby="progress">
      <h2 id="progress">Progress</h2>
      $${nowHtml(order)} $${sagaPictureHtml(sagaStepsOf(order))}
    </section>
    $${actions}`;
}
