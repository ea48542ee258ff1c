import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { unhandledReportList, unhandledReportQuery } from '../../schemas/shipment-reports.js';
import type { AppDependencies } from '../dependencies.js';
import { withContract } from '../http/route-contract.js';
import { readUnhandledReports } from './list.js';

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
        querystring: unhandledReportQuery,
        response: { 200: unhandledReportList },
      },
    },
    async ({ query }) => readUnhandledReports({ store, cursors }, query),
  );
}
