import { randomUUID } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  cancelRequest,
  compensationDecision,
  deliveryDecision,
  orderAccepted,
  orderId,
  orderList,
  orderListQuery,
  orderRequest,
  orderResource,
} from '../../schemas/order.js';
import { emptyQuery } from '../../schemas/shared/page.js';
import type { Backends } from '../dependencies.js';
import { assertActsAsSelf } from '../http/caller.js';
import { toKeyReusedProblem } from '../plugins/idempotency.js';
import { requestContextOf } from '../http/request-context.js';
import { withContract } from '../http/route-contract.js';
import { cancelOrder, resolveCompensation, resolveDelivery } from './commands.js';
import type { ListOrders } from './list.js';
import { getOrder } from './read.js';
import { startOrder } from './start.js';

const params = z.strictObject({ orderId });

/**
 * Routes of orders: place, read, list, cancel, and operator decisions about stuck compensations and overdue deliveries.
 */
export async function orderRoutes(
  instance: FastifyInstance,
  deps: Backends & { listOrders: ListOrders },
): Promise<void> {
  const { listOrders } = deps;
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.post(
    '',
    {
      ...withContract({
        operationId: 'placeOrder',
        summary: 'Place an order',
        description:
          'Starts the order workflow and returns at once; no worker is needed. A repeated request with the same order id returns the same order. If the requests have no order id, the same `Idempotency-Key` returns the same order.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        dependencies: ['temporal'],
        problems: ['order-id-taken', 'price-changed'],
        idempotency: true,
        headers: { location: 'The URL of the order.' },
      }),
      schema: { querystring: emptyQuery, body: orderRequest, response: { 202: orderAccepted } },
    },
    async (request, reply) => {
      const { body, caller, callIdentity } = request;
      assertActsAsSelf(caller, body.customerId, 'customer');
      const orderId = body.orderId ?? callIdentity?.resourceId ?? randomUUID();
      if (!body.orderId) request.newResource = { path: '/v1/orders', idField: 'orderId', id: orderId };
      const status = await startOrder(deps, { ...body, orderId }).catch((error: unknown) => {
        throw toKeyReusedProblem(error, callIdentity !== undefined && !body.orderId) ?? error;
      });
      return reply.code(202).header('location', `/v1/orders/${orderId}`).send({ orderId, status });
    },
  );

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listOrders',
        summary: 'List orders, newest first',
        description:
          'Reads the store. A new order appears once a worker has reserved its stock. Shoppers see only their own orders.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        dependencies: ['store'],
      }),
      schema: { querystring: orderListQuery, response: { 200: orderList } },
    },
    async (request) => listOrders(request.query, request.caller),
  );

  app.get(
    '/:orderId',
    {
      ...withContract({
        operationId: 'getOrder',
        summary: 'Get an order with its timeline',
        description:
          'Reads a closed order from the store. Reads an open order from its workflow, so a worker is needed. If no worker or no Temporal server is available, the 503 contains the fields of the order that are known without it.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        dependencies: ['worker', 'store'],
      }),
      schema: { params, querystring: emptyQuery, response: { 200: orderResource } },
    },
    async (request) => getOrder(deps, request.params.orderId, requestContextOf(request)),
  );

  app.post(
    '/:orderId/cancel',
    {
      ...withContract({
        operationId: 'cancelOrder',
        summary: 'Cancel an order',
        description:
          'Compensations run after the response, in reverse order of the steps; the order shows their progress. A repeated request returns the order.',
        tag: 'Orders',
        access: ['shopper', 'operator'],
        dependencies: ['worker'],
        problems: ['already-picked-up', 'order-closed', 'update-limit', 'conflict', 'store-unavailable'],
        idempotency: true,
      }),
      schema: { params, querystring: emptyQuery, body: cancelRequest.nullish(), response: { 202: orderResource } },
    },
    async (request, reply) =>
      reply
        .code(202)
        .send(await cancelOrder(deps, request.params.orderId, request.body ?? {}, requestContextOf(request))),
  );

  app.post(
    '/:orderId/compensation',
    {
      ...withContract({
        operationId: 'resolveCompensation',
        summary: 'Retry or skip a stuck compensation',
        description:
          'Only for an order with the status `compensation_stuck`. The request names the compensation and its attempt. The response is the order after the decision took effect.',
        tag: 'Orders',
        access: ['operator'],
        dependencies: ['worker'],
        problems: ['compensation-not-stuck', 'order-closed', 'conflict', 'store-unavailable'],
        idempotency: true,
      }),
      schema: { params, querystring: emptyQuery, body: compensationDecision, response: { 202: orderResource } },
    },
    async (request, reply) => {
      request.loggedFields = { action: request.body.action };
      const { params, body } = request;
      return reply.code(202).send(await resolveCompensation(deps, params.orderId, body, requestContextOf(request)));
    },
  );

  app.post(
    '/:orderId/delivery',
    {
      ...withContract({
        operationId: 'resolveDelivery',
        summary: 'Resolve an overdue delivery',
        description:
          'Only for an order with the status `delivery_overdue`. The operator can wait longer, write off the parcel and refund the customer, or record the parcel as delivered.',
        tag: 'Orders',
        access: ['operator'],
        dependencies: ['worker'],
        problems: ['delivery-not-overdue', 'order-closed', 'conflict', 'store-unavailable'],
        idempotency: true,
      }),
      schema: { params, querystring: emptyQuery, body: deliveryDecision, response: { 202: orderResource } },
    },
    async (request, reply) => {
      request.loggedFields = { action: request.body.action };
      const { params, body } = request;
      return reply.code(202).send(await resolveDelivery(deps, params.orderId, body, requestContextOf(request)));
    },
  );
}
