import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { pageQuery } from '../../schemas/shared/page.js';
import { unhandledReportReason, unhandledReportList } from '../../schemas/shipment-reports.js';
import type { AppDependencies } from '../app.js';
import { withContract } from '../http/route-contract.js';
import { readPageWithCursor } from '../http/cursors.js';
import { listUnhandledReports } from './service.js';

/** Lists the carrier's reports that no order acted on, for operators. */
export async function shipmentReportRoutes(
  instance: FastifyInstance,
  { store, cursors }: AppDependencies,
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listUnhandledShipmentReports',
        summary: 'List shipment reports that no order acted on',
        description:
          'Newest first. A report is recorded when its order has ended or when the shop does not know its status.',
        tag: 'Orders',
        access: ['operator'],
        dependencies: ['store'],
      }),
      schema: {
        querystring: pageQuery.extend({ reason: unhandledReportReason.optional() }),
        response: { 200: unhandledReportList },
      },
    },
    async (request) => {
      const { reason } = request.query;
      const filter = { reason };
      return await readPageWithCursor(cursors, 'shipment-reports', filter, request.query, (page) =>
        listUnhandledReports(store, filter, page),
      );
    },
  );
}
