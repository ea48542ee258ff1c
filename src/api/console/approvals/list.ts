import type { FastifyInstance, FastifyRequest } from 'fastify';
import html from 'html-template-tag';
import { z } from 'zod';
import { approvalStatus, approverId, type ApprovalSummary } from '../../../schemas/approval.js';
import { formatMoney } from '../../../schemas/shared/money.js';
import { pageQuery } from '../../../schemas/shared/page.js';
import { callerId } from '../../../schemas/shared/primitives.js';
import { approvalFilterOf } from '../../approvals/list.js';
import { ANONYMOUS, type Caller } from '../../http/caller.js';
import { readListPage } from '../../http/lists/list-pages.js';
import { badgeHtml, pagerHtml, queryString, tableHtml, timeHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { filterHtml, problemsHtml } from '../filter-form.js';
import { registerListRoutes } from '../list-routes.js';
import { createFilterParser, isFiltered, type FilterFields } from '../query.js';
import type { ConsolePageDependencies } from '../routes.js';
import { isOverdue, STATUS_TONES } from './status.js';

const PATH = `${CONSOLE_PATH}/approvals`;

/** The lists that a caller can choose. `inbox`: the approvals that wait for the caller. */
const VIEWS = { inbox: 'Waiting for you', requested: 'Requested by you', all: 'All' } as const;
type View = keyof typeof VIEWS;

const FIELDS = {
  status: { label: 'Status', options: approvalStatus.options },
  approver: { label: 'Waits for', placeholder: 'grace' },
  requestedBy: { label: 'Requested by', placeholder: 'ada' },
} as const satisfies FilterFields;

/** Without sign-in, the chosen approver also decides. */
const OPEN_MODE_FIELDS = {
  ...FIELDS,
  approver: { ...FIELDS.approver, hint: 'There is no sign-in: act as this approver' },
} as const satisfies FilterFields;

const parseFilter = createFilterParser(
  pageQuery.extend({
    status: approvalStatus.optional(),
    approver: approverId.optional(),
    requestedBy: callerId.optional(),
  }),
  FIELDS,
);

const viewQuery = z.object({ view: z.enum(['inbox', 'requested', 'all']).optional().catch(undefined) });

/** The list of approvals: the inbox of the caller, the requests of the caller, or for operators all approvals. */
export async function approvalListRoute(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  const { cursors, listApprovals } = deps;

  /** The list that a caller wants to see. Callers with the same key see the same approvals. @throws 403. */
  function openList(head: Head, query: ApprovalQuery) {
    const { caller, view, filter } = head;
    const { status, approver, requestedBy, ...page } = query;
    const wanted = {
      inbox: { status: 'pending', approver: caller.id } as const,
      requested: { status, requestedBy: caller.id },
      all: { status, approver, requestedBy },
    }[view];
    const listed = approvalFilterOf(caller, wanted);
    const empty = view === 'all' && isFiltered(filter) ? NO_MATCH : EMPTY_TEXTS[view];
    const decideAs = caller === ANONYMOUS ? approver : undefined;
    return {
      key: JSON.stringify(['approvals', listed, page]),
      read: () =>
        readListPage(cursors, {
          list: 'approvals',
          filter: listed,
          query: page,
          read: (position) => listApprovals(listed, position),
        }),
      render: ({ items, nextCursor }: { items: ApprovalSummary[]; nextCursor?: string }) =>
        headHtml(head) + rowsHtml(items, { decideAs, empty }) + pagerHtml(PATH, { view, ...filter.typed }, nextCursor),
    };
  }

  registerListRoutes(app, deps, {
    title: 'Approvals',
    section: 'approvals',
    path: PATH,
    livePath: '_live',
    access: ['operator', 'approver'],
    contracts: {
      open: { operationId: 'openConsoleApprovals', summary: 'Open the list of approvals' },
      follow: { operationId: 'followConsoleApprovals', summary: 'Follow the list of approvals' },
    },
    parseFilter,
    listOf: (request, filter) => {
      const head = headOf(request, filter);
      return {
        view: { view: head.view },
        invalidHtml: () => headHtml(head),
        open: (query) => openList(head, query),
      };
    },
  });
}

function headOf({ caller, query }: FastifyRequest, filter: Head['filter']): Head {
  const views = viewsOf(caller);
  // A link with a filter but without a view means the list that has filters.
  const chosen = viewQuery.parse(query).view ?? (isFiltered(filter) ? 'all' : undefined);
  const view = chosen !== undefined && views.includes(chosen) ? chosen : views[0]!;
  return { caller, view, views, filter };
}

const NO_MATCH = 'No approval matches these filters.';
const EMPTY_TEXTS: Record<View, string> = {
  inbox: 'Nothing waits for your decision.',
  requested: 'You have not requested an approval.',
  all: 'There are no approvals. Start one under “Start”, or place an order that needs an approval.',
};

/** The views of a caller; the first one is the default. Without sign-in, nobody has an inbox. */
function viewsOf(caller: Caller): View[] {
  const isOperator = caller.roles.includes('operator');
  if (caller === ANONYMOUS || !caller.roles.includes('approver')) return ['all'];
  return isOperator ? ['inbox', 'requested', 'all'] : ['inbox', 'requested'];
}

type ApprovalQuery = NonNullable<ReturnType<typeof parseFilter>['query']>;

interface Head {
  caller: Caller;
  view: View;
  views: View[];
  filter: ReturnType<typeof parseFilter>;
}

function headHtml({ caller, view, views, filter }: Head): string {
  const tabs = views.map((name) => {
    const current = name === view ? ' aria-current="page"' : '';
    return html`<li><a href="$${urlHtml(`${PATH}?view=${name}`)}" $${current}>${VIEWS[name]}</a></li>`;
  });
  const tabsHtml =
    views.length > 1
      ? html`<nav class="tabs" aria-label="Lists of approvals">
          <ul>
            $${tabs.join('')}
          </ul>
        </nav>`
      : '';
  const fields = caller === ANONYMOUS ? OPEN_MODE_FIELDS : FIELDS;
  const form = { path: PATH, name: 'Filter approvals', fields, filter, hidden: { view } };
  return html`<h1>Approvals</h1>
    $${tabsHtml} $${view === 'all' ? filterHtml(form) : problemsHtml(fields, filter)}`;
}

function rowsHtml(
  approvals: readonly ApprovalSummary[],
  { decideAs, empty }: { decideAs: string | undefined; empty: string },
): string {
  return tableHtml(
    'Approvals, newest first',
    [
      {
        title: 'Title',
        cellHtml: ({ approvalId, title }) =>
          html`<a dir="auto" href="$${urlHtml(`${PATH}/${approvalId}${queryString({ as: decideAs })}`)}">${title}</a>`,
      },
      { title: 'Status', cellHtml: ({ status }) => badgeHtml(status, STATUS_TONES[status]) },
      { title: 'Requested by', cellHtml: ({ requestedBy }) => html`${requestedBy}` },
      { title: 'Amount', cellHtml: ({ amount }) => (amount ? html`${formatMoney(amount)}` : ''), isNumber: true },
      {
        title: 'Decide by',
        cellHtml: (row) => html`$${timeHtml(row.deadline)} $${isOverdue(row) ? badgeHtml('overdue', 'bad') : ''}`,
      },
    ],
    approvals,
    empty,
  );
}
