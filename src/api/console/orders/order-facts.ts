import html from 'html-template-tag';
import type { OrderResource } from '../../../schemas/order.js';
import { formatMoney } from '../../../schemas/shared/money.js';
import type { KnownOrder } from '../../orders/known.js';
import {
  type Tone,
  badgeHtml,
  definitionsHtml,
  queryString,
  reasonText,
  tableHtml,
  timeHtml,
  urlHtml,
} from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { ORDERS_PATH } from './list-page.js';
import { titleOf } from './saga-steps.js';
import { isComplete } from './snapshot.js';

/** The details, lines and timeline of an order. */
export function orderFactsHtml(order: OrderResource | KnownOrder): string {
  return html`<div class="facts">
      <section class="card" aria-labelledby="facts">
        <h2 id="facts">Order</h2>
        $${definitionsHtml(detailsOf(order))}
      </section>
      <section class="card" aria-labelledby="lines">
        <h2 id="lines">Lines</h2>
        $${linesHtml(order)}
      </section>
    </div>
    $${isComplete(order) ? timelineHtml(order) : ''}`;
}

function detailsOf(order: OrderResource | KnownOrder): [string, string | undefined][] {
  const { customerId, total } = order;
  const customer =
    customerId && html`<a href="$${urlHtml(ORDERS_PATH + queryString({ customerId }))}">${customerId}</a>`;
  const common: [string, string | undefined][] = [
    ['Customer', customer],
    ['Total', total && html`${formatMoney(total)}`],
  ];
  if (!isComplete(order))
    return [...common, ['Placed', timeHtml(order.placedAt)], ['Closed', timeHtml(order.closedAt)]];
  const { approval, shipment, delivery, cancellation, reason, ignoredReportCount, stage } = order;
  const approvalUrl = urlHtml(`${CONSOLE_PATH}/approvals/${approval?.approvalId}`);
  return [
    ...common,
    ['Placed', timeHtml(order.steps[0]?.startedAt)],
    // The entry about the cancellation contains its reason.
    ['Reason', cancellation && reason?.type === 'Cancelled' ? undefined : html`${reasonText(reason)}`],
    ['Cancellation', cancellation && cancellationHtml(cancellation)],
    ['Payment', paymentText(order)],
    ['Approval', approval && html`<a href="$${approvalUrl}">${approval.status.replaceAll('_', ' ')}</a>`],
    [
      'Parcel',
      shipment && html`${shipment.status.replaceAll('_', ' ')} <span class="code">${shipment.shipmentId}</span>`,
    ],
    ['Delivery due', ['compensating', 'done'].includes(stage) ? undefined : timeHtml(delivery?.dueAt)],
    ['Overdue since', timeHtml(delivery?.overdueSince)],
    ['Ignored reports', ignoredReportCount ? html`${String(ignoredReportCount)}, about other parcels` : undefined],
  ];
}

function cancellationHtml({ requestedAt, reason, rejected }: NonNullable<OrderResource['cancellation']>): string {
  const outcome = rejected ? ', rejected because the carrier has the parcel' : '';
  return html`requested at $${timeHtml(requestedAt)}${reason ? `: ${reason}` : ''}${outcome}`;
}

/** Derives the state of the payment from the charge and its refund. */
function paymentText({ steps, compensations, total }: OrderResource): string | undefined {
  const charge = steps.find(({ name }) => name === 'chargePayment');
  const refund = compensations.find(({ name }) => name === 'refundPayment');
  if (!charge) return total?.value === 0 ? 'not needed' : undefined;
  if (refund?.status === 'completed')
    return charge.status === 'completed' ? 'charged, then refunded' : 'refunded, if it was charged';
  if (refund) return `refund ${refund.status}`;
  return charge.status === 'completed' ? 'charged' : `charge ${charge.status}`;
}

type Line = NonNullable<OrderResource['lines']>[number];

const linesHtml = ({ lines = [], total }: OrderResource | KnownOrder): string =>
  tableHtml<Line>(
    'Lines of the order',
    [
      {
        title: 'Product',
        cellHtml: ({ name, sku }) => html`<span>${name} <span class="code quiet">${sku}</span></span>`,
      },
      { title: 'Quantity', cellHtml: ({ quantity }) => String(quantity), isNumber: true },
      { title: 'Price', cellHtml: ({ unitPrice }) => html`${formatMoney(unitPrice)}`, isNumber: true },
    ],
    lines,
    'The lines are priced when the stock is reserved.',
  ) + (total ? html`<p class="total">Total <strong>${formatMoney(total)}</strong></p>` : '');

const ENTRY_TONES: Record<string, Tone> = {
  started: 'active',
  completed: 'good',
  stuck: 'attention',
  failed: 'bad',
};

interface TimelineRow {
  at: string;
  title: string;
  status: string;
  endedAt?: string | undefined;
  details?: string | undefined;
}

function timelineHtml(order: OrderResource): string {
  const rows = timelineOf(order);
  if (rows.length === 0) return '';
  const table = tableHtml<TimelineRow>(
    'Steps and compensations with their times',
    [
      { title: 'Started', cellHtml: ({ at }) => timeHtml(at) },
      { title: 'Entry', cellHtml: ({ title }) => html`${title}` },
      { title: 'Status', cellHtml: ({ status }) => badgeHtml(status, ENTRY_TONES[status] ?? 'neutral') },
      { title: 'Ended', cellHtml: ({ endedAt }) => timeHtml(endedAt) },
      { title: 'Details', cellHtml: ({ details }) => html`${details ?? ''}` },
    ],
    rows,
    '',
  );
  return html`<h2>Timeline</h2>
    $${table}`;
}

function timelineOf({ steps, compensations, cancellation, delivery }: OrderResource): TimelineRow[] {
  const rows: TimelineRow[] = [
    ...steps.map(({ name, status, startedAt, endedAt, reason }) => ({
      at: startedAt,
      title: titleOf(name),
      status,
      endedAt,
      details: reasonText(reason),
    })),
    ...compensations.map(({ name, status, startedAt, endedAt, reason, attempt }) => ({
      at: startedAt,
      title: titleOf(name),
      status,
      endedAt,
      details: [attempt > 1 ? `attempt ${attempt}` : '', reasonText(reason)].filter(Boolean).join('; '),
    })),
  ];
  if (cancellation) {
    const status = cancellation.rejected ? 'rejected' : 'accepted';
    // An entry with the same time follows from the request.
    rows.unshift({ at: cancellation.requestedAt, title: 'Cancellation', status, details: cancellation.reason });
  }
  if (delivery?.overdueSince) rows.push({ at: delivery.overdueSince, title: 'Delivery overdue', status: 'open' });
  return rows.sort((a, b) => a.at.localeCompare(b.at));
}
