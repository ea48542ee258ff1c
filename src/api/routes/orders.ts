import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  cancelRequest,
  compensationDecision,
  orderRequest,
  orderResource,
  orderStatus,
  orderSummary,
} from '../../schemas/order.js';
import { pageOf, pageQuery } from '../../schemas/page.js';
import { id } from '../../schemas/text.js';
import type { AppDependencies } from '../app.js';
import { decodeCursor, encodeCursor } from '../cursor.js';
import { cancelOrder, getOrder, listOrders, resolveCompensation, startOrder } from '../orders.js';

const params = z.strictObject({ orderId: id });
const accepted = z.object({ orderId: z.string(), status: orderStatus });

/** Orders: start, read, list, cancel, and the operator's word on a stuck compensation. */
export async function orderRoutes(instance: FastifyInstance, { client }: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.post('/', { schema: { body: orderRequest, response: { 202: accepted } } }, async (request, reply) => {
    const orderId = request.body.orderId ?? randomUUID();
    const status = await startOrder(client, { ...request.body, orderId });
    return reply.code(202).header('location', `/v1/orders/${orderId}`).send({ orderId, status });
  });

  app.get(
    '/',
    {
      schema: {
        querystring: pageQuery.extend({ status: orderStatus.optional(), customerId: id.optional() }),
        response: { 200: pageOf(orderSummary) },
      },
    },
    async (request) => {
      const { limit, cursor, ...filter } = request.query;
      const { items, nextPlace } = await listOrders(client, filter, {
        limit,
        ...(cursor && { place: decodeCursor('orders', cursor) }),
      });
      return { items, ...(nextPlace && { nextCursor: encodeCursor('orders', nextPlace) }) };
    },
  );

  app.get('/:orderId', { schema: { params, response: { 200: orderResource } } }, async (request) =>
    getOrder(client, request.params.orderId),
  );

  app.post(
    '/:orderId/cancel',
    { schema: { params, body: cancelRequest.nullish(), response: { 202: orderResource } } },
    async (request, reply) => {
      return reply.code(202).send(await cancelOrder(client, request.params.orderId, request.body ?? {}));
    },
  );

  app.post(
    '/:orderId/compensation',
    { schema: { params, body: compensationDecision, response: { 202: orderResource } } },
    async (request, reply) => {
      return reply.code(202).send(await resolveCompensation(client, request.params.orderId, request.body));
    },
  );
}
