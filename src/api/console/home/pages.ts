import html from 'html-template-tag';
import type { Caller } from '../../http/caller.js';
import type { UnreconciledOrder } from '../../../store/orders/reconciliation.js';
import { formatCount, noticeHtml, queryString, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { systemsHtml } from './systems.js';
import { REPORT_DAYS, type OwnState, type Part, type ShopState } from './state.js';

/** A link to another page: a tool, or a page of the development stack. */
export interface PageLink {
  title: string;
  url: string;
}

/** The first page of an operator. */
export const shopHomeHtml = (state: ShopState, links: readonly PageLink[]): string =>
  html`<h1>Shop console</h1>
    <h2>What needs a person now</h2>
    $${attentionHtml(state)}
    <h2>Open workflows</h2>
    <ul class="cards">
      $${PATTERNS.map((pattern) => patternCardHtml(pattern, state[pattern.count])).join('')}
    </ul>
    <h2>Workers and external systems</h2>
    $${systemsHtml(state)} $${linksHtml(links)}`;

/** The first page of a caller who may access only their own resources. */
export function ownHomeHtml({ roles }: Caller, state: OwnState, links: readonly PageLink[]): string {
  const cards = [
    roles.includes('shopper') && ownCardHtml(state.orders, { one: 'open order', many: 'open orders', path: '/orders' }),
    roles.includes('shopper') && ownCardHtml(state.carts, { one: 'open cart', many: 'open carts', path: '/carts' }),
    roles.includes('approver') &&
      ownCardHtml(state.approvals, {
        one: 'approval waits for you',
        many: 'approvals wait for you',
        path: '/approvals',
      }),
  ];
  return html`<h1>Shop console</h1>
    <ul class="cards">
      $${cards.filter(Boolean).join('')}
    </ul>
    $${linksHtml(links)}`;
}

interface Pattern {
  title: string;
  path: string;
  count: keyof ShopState & `open${string}`;
  sentence: string;
}

const PATTERNS: readonly Pattern[] = [
  {
    title: 'Orders',
    path: '/orders',
    count: 'openOrders',
    sentence: 'Saga: each step of an order has a compensation, so that a failed order is rolled back.',
  },
  {
    title: 'Carts',
    path: '/carts',
    count: 'openCarts',
    sentence: 'Entity: one workflow holds a cart from its first item to its checkout or expiry.',
  },
  {
    title: 'Approvals',
    path: '/approvals',
    count: 'openApprovals',
    sentence: 'Callback: a workflow waits for a person or a system, with reminders, an escalation and a timeout.',
  },
  {
    title: 'Batches',
    path: '/batches',
    count: 'openBatches',
    sentence: 'Fan-out and fan-in: a workflow processes the items of an upload in concurrent chunks.',
  },
];

const patternCardHtml = ({ title, path, sentence }: Pattern, count: Part<number>): string =>
  html`<li class="card">
    <h3><a href="$${CONSOLE_PATH + path}">${title}</a></h3>
    <span class="count">${'value' in count ? formatCount(count.value) : 'unknown'}</span>
    <p>${sentence}</p>
  </li>`;

const ownCardHtml = (count: Part<number>, { one, many, path }: { one: string; many: string; path: string }): string =>
  html`<li class="card">
    <span class="count">${'value' in count ? formatCount(count.value) : 'unknown'}</span>
    <p>
      <a href="$${CONSOLE_PATH + path}">${'value' in count && count.value === 1 ? one : many}</a>$${
        'missing' in count ? html`: ${count.missing}` : ''
      }
    </p>
  </li>`;

/** Something that waits for a person, with the page that lists it. */
interface OpenItem {
  count: Part<number>;
  /** Whether there may be more, because the count has a limit. */
  mayBeMore?: boolean;
  one: string;
  many: string;
  path: string;
  query?: Record<string, string>;
}

function openItemsOf(state: ShopState): OpenItem[] {
  const { orders, pendingApprovals, overdueApprovals, batches, stalledBatches, reports } = state;
  return [
    {
      count: select(orders, 'stuckCompensations'),
      one: 'order with a stuck compensation',
      many: 'orders with a stuck compensation',
      path: '/orders',
      query: { status: 'compensation_stuck' },
    },
    {
      count: select(orders, 'overdueDeliveries'),
      one: 'order with an overdue delivery',
      many: 'orders with an overdue delivery',
      path: '/orders',
      query: { status: 'delivery_overdue' },
    },
    {
      count: overdueApprovals,
      one: 'approval is overdue, see the pending approvals',
      many: 'approvals are overdue, see the pending approvals',
      path: '/approvals',
      query: { status: 'pending' },
    },
    {
      count: pendingApprovals,
      one: 'approval waits for a decision',
      many: 'approvals wait for a decision',
      path: '/approvals',
      query: { status: 'pending' },
    },
    {
      count: stalledBatches,
      one: 'running batch makes no progress',
      many: 'running batches make no progress',
      path: '/batches',
      query: { status: 'running' },
    },
    {
      count: select(batches, 'paused'),
      one: 'batch is paused',
      many: 'batches are paused',
      path: '/batches',
      query: { status: 'paused' },
    },
    {
      count: select(reports, 'count'),
      mayBeMore: 'value' in reports && reports.value.mayBeMore,
      one: `carrier report without an effect in the last ${REPORT_DAYS} days`,
      many: `carrier reports without an effect in the last ${REPORT_DAYS} days`,
      path: '/shipment-reports',
    },
  ];
}

function attentionHtml(state: ShopState): string {
  const all = openItemsOf(state);
  const missing = all.filter(({ count }) => 'missing' in count);
  const waiting = all.filter(({ count }) => 'value' in count && count.value > 0);
  const reasons = [...new Set(missing.map(({ count }) => ('missing' in count ? count.missing : '')))].join('; ');
  const unreconciled = 'value' in state.unreconciledOrders ? state.unreconciledOrders.value : [];
  const count = state.unreconciledOrderCount;
  const unlistedCount = 'value' in count ? count.value - unreconciled.length : 0;
  const items = [
    ...waiting.map((item) => openItemHtml(item, 'value' in item.count ? item.count.value : 0)),
    ...unreconciled.map(unreconciledHtml),
    ...(unlistedCount > 0 ? [html`<li>Orders that also need a decision: ${formatCount(unlistedCount)}</li>`] : []),
  ];
  const missingHtml = missing.length
    ? noticeHtml(
        'bad',
        html`<p>Some counts are missing: ${missing.map(({ many }) => many).join(', ')}. Reason: ${reasons}.</p>`,
      )
    : '';
  if (items.length === 0) return missingHtml || noticeHtml('good', '<p>Nothing needs you now.</p>');
  return html`<ul class="open-items">
      $${items.join('')}
    </ul>
    $${missingHtml}`;
}

const openItemHtml = ({ one, many, path, query = {}, mayBeMore }: OpenItem, count: number): string =>
  html`<li>
    <a href="$${urlHtml(CONSOLE_PATH + path + queryString(query))}"
      ><strong>${formatCount(count)}${mayBeMore ? ' or more' : ''}</strong> ${count === 1 ? one : many}</a
    >
  </li>`;

/**
 * An order that the reconciliation could not roll back, or that the audit found. The gateway can return an id with any
 * characters.
 */
const unreconciledHtml = ({ orderId, problem }: UnreconciledOrder): string =>
  html`<li>
    <a href="$${urlHtml(`${CONSOLE_PATH}/orders/${encodeURIComponent(orderId)}`)}">Order ${orderId} needs a decision</a
    >: ${problem}
  </li>`;

const linksHtml = (links: readonly PageLink[]): string =>
  html`<h2>Links</h2>
    <ul>
      $${links.map(({ title, url }) => html`<li><a href="$${urlHtml(url)}">${title}</a></li>`).join('')}
    </ul>`;

/** Returns one of the counts of a part. */
function select<T, Name extends keyof T>(part: Part<T>, name: Name): Part<T[Name]> {
  return 'value' in part ? { value: part.value[name] } : part;
}
