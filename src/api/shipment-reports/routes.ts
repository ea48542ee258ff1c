import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { pageQuery } from '../../schemas/shared/page.js';
import {
  unhandledReportList,
  unhandledReportReason,
  type UnhandledReport,
  type UnhandledReportReason,
} from '../../schemas/shipment-reports.js';
import type { Store } from '../../store/index.js';
import type { AppDependencies } from '../dependencies.js';
import { nextPositionAfter, readListPage, type Page, type PageRequest } from '../http/list-pages.js';
import { withContract } from '../http/route-contract.js';

/** Routes of shipment reports: operators list the reports of the carrier that no order acted on. */
export async function shipmentReportRoutes(
  instance: FastifyInstance,
  { store, cursors }: Pick<AppDependencies, 'store' | 'cursors'>,
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listUnhandledShipmentReports',
        summary: 'List shipment reports that no order acted on',
        description:
          'Newest first. A report is in this list if its order had already ended or if the status of the report is unknown.',
        tag: 'Orders',
        access: ['operator'],
        dependencies: ['store'],
      }),
      schema: {
        querystring: pageQuery.extend({ reason: unhandledReportReason.optional() }),
        response: { 200: unhandledReportList },
      },
    },
    async ({ query }) => {
      const filter = { reason: query.reason };
      return await readListPage(cursors, {
        list: 'shipment-reports',
        filter,
        query,
        read: (page) => listUnhandledReports(store, filter, page),
      });
    },
  );
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
