import type { FastifyInstance } from 'fastify';
import html from 'html-template-tag';
import {
  unhandledReportQuery,
  unhandledReportReason,
  type UnhandledReport,
} from '../../../schemas/shipment-reports.js';
import { readUnhandledReports } from '../../shipment-reports/list.js';
import { badgeHtml, pagerHtml, tableHtml, timeHtml, urlHtml } from '../components.js';
import { CONSOLE_PATH } from '../contract.js';
import { filterHtml } from '../filter-form.js';
import { registerListRoutes } from '../list-routes.js';
import { createFilterParser, isFiltered, type FilterFields, type ListFilter } from '../query.js';
import type { ConsolePageDependencies } from '../routes.js';

const PATH = `${CONSOLE_PATH}/shipment-reports`;

const FIELDS = {
  reason: { label: 'Reason', options: unhandledReportReason.options },
} as const satisfies FilterFields;

const parseFilter = createFilterParser(unhandledReportQuery, FIELDS);

/** The page of carrier reports that no order acted on. */
export async function shipmentReportPages(app: FastifyInstance, deps: ConsolePageDependencies): Promise<void> {
  registerListRoutes(app, deps, {
    title: 'Carrier reports',
    section: 'orders',
    path: PATH,
    livePath: 'live',
    access: ['operator'],
    contracts: {
      open: { operationId: 'openShipmentReports', summary: 'Show carrier reports that no order acted on' },
      follow: { operationId: 'followShipmentReports', summary: 'Follow the carrier reports that no order acted on' },
    },
    parseFilter,
    listOf: (_request, filter) => ({
      invalidHtml: () => reportsHtml(filter, undefined),
      open: (query) => ({
        key: JSON.stringify(['shipment reports', query]),
        read: () => readUnhandledReports(deps, query),
        render: (reports: ReportPage) => reportsHtml(filter, reports),
      }),
    }),
  });
}

interface ReportPage {
  items: UnhandledReport[];
  nextCursor?: string;
}

function reportsHtml(filter: ListFilter<unknown>, reports: ReportPage | undefined): string {
  return html`<h1>Carrier reports without effect</h1>
    <p>The carrier sent these reports, and no order acted on them. No order changes because of this page.</p>
    $${filterHtml({ path: PATH, name: 'Filter carrier reports', fields: FIELDS, filter })}
    $${reports ? tableHtml('Carrier reports', COLUMNS, reports.items, emptyText(filter)) : ''}
    $${pagerHtml(PATH, filter.typed, reports?.nextCursor)}`;
}

const emptyText = (filter: ListFilter<unknown>): string =>
  isFiltered(filter) ? 'No report has this reason.' : 'There are no such reports. Every report had an order to change.';

const REASON_TONES = { contradicts_outcome: 'bad', unknown_status: 'attention', order_closed: 'neutral' } as const;

const COLUMNS = [
  { title: 'Received', cellHtml: ({ receivedAt }: UnhandledReport) => timeHtml(receivedAt) },
  {
    title: 'Order',
    cellHtml: ({ orderId }: UnhandledReport) =>
      html`<a href="$${urlHtml(`${CONSOLE_PATH}/orders/${encodeURIComponent(orderId)}`)}">${orderId}</a>`,
  },
  { title: 'Parcel', cellHtml: ({ shipmentId }: UnhandledReport) => html`${shipmentId}` },
  { title: 'Status', cellHtml: ({ status }: UnhandledReport) => html`${status}` },
  { title: 'Reason', cellHtml: ({ reason }: UnhandledReport) => badgeHtml(reason, REASON_TONES[reason]) },
];
