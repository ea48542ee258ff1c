import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  cancelRequest,
  compensationDecision,
  customerId,
  orderAccepted,
  orderId,
  orderList,
  orderRequest,
  orderResource,
  orderStatus,
} from '../../schemas/order.js';
import { noQuery, pageQuery } from '../../schemas/page.js';
import type { AppDependencies } from '../app.js';
import { askingOf } from '../asking.js';
import { assertActsAs, restrictedTo } from '../auth/caller.js';
import { contract } from '../contract.js';
import { sealedPage } from '../cursor.js';
import { takenByName } from '../idempotency.js';
import { cancelOrder, getOrder, listOrders, resolveCompensation, startOrder } from '../orders.js';

const params = z.strictObject({ orderId });

/** Orders: start, read, list, cancel, and the operator's word on a stuck compensation. */
export async function orderRoutes(instance: FastifyInstance, { client, cursors }: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.post(
    '',
    {
      ...contract({
        operationId: 'placeOrder',
        summary: 'Place an order',
        description:
          'Starts the saga and answers at once; no worker is needed. The order id, or else the `Idempotency-Key`, makes a repetition the same order.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        needs: ['temporal'],
        problems: ['order-id-taken'],
        idempotent: true,
        headers: { location: 'Where the order is.' },
      }),
      schema: { querystring: noQuery, body: orderRequest, response: { 202: orderAccepted } },
    },
    async (request, reply) => {
      const { body, caller, named } = request;
      assertActsAs(caller, body.customerId, 'customer');
      const orderId = body.orderId ?? named?.resourceId ?? randomUUID();
      const status = await startOrder(client, { ...body, orderId }).catch((error: unknown) => {
        throw takenByName(error, named && !body.orderId) ?? error;
      });
      return reply.code(202).header('location', `/v1/orders/${orderId}`).send({ orderId, status });
    },
  );

  app.get(
    '',
    {
      ...contract({
        operationId: 'listOrders',
        summary: 'List orders, newest first',
        description: 'From Temporal’s visibility: a new order appears within about a second. A shopper gets his own.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        needs: ['temporal'],
      }),
      schema: {
        querystring: pageQuery.extend({ status: orderStatus.optional(), customerId: customerId.optional() }),
        response: { 200: orderList },
      },
    },
    async (request) => {
      const { status, customerId = restrictedTo(request.caller) } = request.query;
      assertActsAs(request.caller, customerId, 'customer');
      const filter = { status, customerId };
      return await sealedPage(cursors, 'orders', filter, request.query, (page) => listOrders(client, filter, page));
    },
  );

  app.get(
    '/:orderId',
    {
      ...contract({
        operationId: 'getOrder',
        summary: 'An order with its timeline',
        description:
          'An open order is asked for by a query, so a worker is needed; without one, the problem says what Temporal itself knows.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        needs: ['worker'],
      }),
      schema: { params, querystring: noQuery, response: { 200: orderResource } },
    },
    async (request) => getOrder(client, request.params.orderId, askingOf(request)),
  );

  app.post(
    '/:orderId/cancel',
    {
      ...contract({
        operationId: 'cancelOrder',
        summary: 'Cancel an order',
        description: 'What was done is undone after the answer, last step first; the order tells how far that is.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        needs: ['worker'],
        problems: ['parcel-left', 'order-closed', 'conflict'],
        idempotent: true,
      }),
      schema: { params, querystring: noQuery, body: cancelRequest.nullish(), response: { 202: orderResource } },
    },
    async (request, reply) =>
      reply.code(202).send(await cancelOrder(client, request.params.orderId, request.body ?? {}, askingOf(request))),
  );

  app.post(
    '/:orderId/compensation',
    {
      ...contract({
        operationId: 'resolveCompensation',
        summary: 'Retry or skip a stuck compensation',
        description: 'An operator’s word on an order with the status `compensation_stuck`.',
        tag: 'Orders',
        access: ['operator'],
        needs: ['worker'],
        problems: ['not-stuck', 'order-closed', 'conflict'],
        idempotent: true,
      }),
      schema: { params, querystring: noQuery, body: compensationDecision, response: { 202: orderResource } },
    },
    async (request, reply) =>
      reply.code(202).send(await resolveCompensation(client, request.params.orderId, request.body, askingOf(request))),
  );
}
