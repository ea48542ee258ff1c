import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { pageQuery } from '../../schemas/page.js';
import { unhandledReason, unhandledReportList } from '../../schemas/shipment-report.js';
import type { AppDependencies } from '../app.js';
import { contract } from '../plugins/contract.js';
import { sealedPage } from '../plugins/cursor.js';
import { listReports } from './service.js';

/** Lists the carrier's reports that no order acted on, for operators. */
export async function shipmentReportRoutes(
  instance: FastifyInstance,
  { store, cursors }: AppDependencies,
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...contract({
        operationId: 'listUnhandledShipmentReports',
        summary: 'List shipment reports that no order acted on',
        description:
          'Newest first. A report is recorded when its order has ended or when the shop does not know its status.',
        tag: 'Orders',
        access: ['operator'],
        needs: ['store'],
      }),
      schema: {
        querystring: pageQuery.extend({ reason: unhandledReason.optional() }),
        response: { 200: unhandledReportList },
      },
    },
    async (request) => {
      const { reason } = request.query;
      const filter = { reason };
      return await sealedPage(cursors, 'shipment-reports', filter, request.query, (page) =>
        listReports(store, filter, page),
      );
    },
  );
}
