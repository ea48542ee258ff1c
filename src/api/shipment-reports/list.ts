import type { z } from 'zod';
import type { UnhandledReport, UnhandledReportReason, unhandledReportQuery } from '../../schemas/shipment-reports.js';
import type { Store } from '../../store/index.js';
import type { AppDependencies } from '../dependencies.js';
import { nextPositionAfter, readListPage, type Page, type PageRequest } from '../http/lists/list-pages.js';

/** Reads a page of the shipment reports that no order acted on, newest first. */
export async function readUnhandledReports(
  { store, cursors }: Pick<AppDependencies, 'store' | 'cursors'>,
  query: z.output<typeof unhandledReportQuery>,
) {
  const filter = { reason: query.reason };
  return await readListPage(cursors, {
    list: 'shipment-reports',
    filter,
    query,
    read: (page) => listUnhandledReports(store, filter, page),
  });
}

async function listUnhandledReports(
  store: Store,
  filter: { reason?: UnhandledReportReason | undefined },
  page: PageRequest,
): Promise<Page<UnhandledReport>> {
  const { limit, position } = page;
  const rows = await store.listUnhandledReports({
    ...filter,
    limit,
    ...(position !== undefined && { before: position }),
  });
  return {
    items: rows.map(({ number: _number, ...report }) => report),
    ...nextPositionAfter(rows, page, ({ number }) => number),
  };
}
