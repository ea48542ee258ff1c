import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { batchBulkRequest, bulkResult, orderBulkRequest } from '../../schemas/bulk.js';
import { emptyQuery } from '../../schemas/shared/page.js';
import type { BatchServices } from '../batches/services.js';
import type { Backends } from '../dependencies.js';
import { requestContextOf } from '../http/request-context.js';
import { itemLogOf } from '../plugins/action-log.js';
import { withContract } from '../http/route-contract.js';
import { changeManyBatches } from './batches.js';
import { changeManyOrders } from './orders.js';

const response = { 200: bulkResult };

/** Actions on many orders and on many batches. */
export async function bulkRoutes(
  instance: FastifyInstance,
  deps: Backends & { batches: BatchServices },
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.post(
    '/orders/bulk',
    {
      ...withContract({
        operationId: 'changeManyOrders',
        summary: 'Cancel many orders, or retry their compensations',
        description:
          'Selects orders by a filter or by their ids, and reports the result of each order. The filter selects by status, so an order whose parcel the carrier has is selected for `cancel` and reported as `rejected`. After a lost response, repeat the request with the same `Idempotency-Key` and `orderIds`.',
        tag: 'Orders',
        access: ['operator'],
        dependencies: ['worker', 'store'],
        idempotency: true,
      }),
      schema: { querystring: emptyQuery, body: orderBulkRequest, response },
    },
    async (request) => changeManyOrders(deps, request.body, contextOf(request)),
  );

  app.post(
    '/batches/bulk',
    {
      ...withContract({
        operationId: 'changeManyBatches',
        summary: 'Retry many batches',
        description:
          'Selects batches by a filter or by their ids, and reports the result of each batch. A batch that cannot be retried is reported as `rejected`. After a lost response, repeat the request with the same `Idempotency-Key` and `batchIds`.',
        tag: 'Batches',
        access: ['operator'],
        dependencies: ['temporal', 'store'],
        idempotency: true,
      }),
      schema: { querystring: emptyQuery, body: batchBulkRequest, response },
    },
    async (request) => changeManyBatches(deps.batches, request.body, contextOf(request)),
  );
}

function contextOf(request: FastifyRequest<{ Body: { action: string; dryRun?: boolean | undefined } }>) {
  const { action, dryRun } = request.body;
  request.loggedFields = { action, ...(dryRun && { dryRun }) };
  return { ...requestContextOf(request), log: itemLogOf(request) };
}
