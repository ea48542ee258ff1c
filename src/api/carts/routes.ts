import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  addItemRequest,
  cartId,
  cartList,
  cartResource,
  cartStatus,
  checkoutRequest,
  setQuantityRequest,
} from '../../schemas/cart.js';
import { customerId } from '../../schemas/order.js';
import { emptyQuery, pageQuery } from '../../schemas/shared/page.js';
import { sku } from '../../schemas/shared/primitives.js';
import { abandonUpdate, checkoutUpdate, removeItemUpdate, setQuantityUpdate } from '../../workflows/cart/contract.js';
import type { AppDependencies } from '../app.js';
import { assertActsAsSelf, restrictedIdOf } from '../http/caller.js';
import { addToCart, changeCart, getCart, listCarts } from './service.js';
import { withContract, type RouteContract } from '../http/route-contract.js';
import { readPageWithCursor } from '../http/cursors.js';
import type { ProblemKind } from '../problems/problem-kinds.js';

const params = z.strictObject({ cartId });
const itemParams = params.extend({ sku });
const response = { 200: cartResource };

/** The contract of a cart change. A worker applies the change, and prices come from the store. */
const changeContract = (
  operationId: string,
  summary: string,
  problems: ProblemKind[],
  more: Partial<RouteContract> = {},
) =>
  withContract({
    operationId,
    summary,
    tag: 'Carts',
    access: ['shopper', 'operator'],
    dependencies: ['worker', 'store'],
    problems: ['cart-busy', 'gone', 'update-limit', ...problems],
    idempotency: true,
    ...more,
  });

/** Routes of carts. A cart opens with its first item; every change returns the cart. */
export async function cartRoutes(instance: FastifyInstance, shop: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listCarts',
        summary: 'List carts, newest first',
        description:
          'From the store, where a cart appears with its first item. A cart id that was used again is listed once for each cart. Shoppers get their own carts.',
        tag: 'Carts',
        access: ['shopper', 'operator'],
        dependencies: ['store'],
      }),
      schema: {
        querystring: pageQuery.extend({ customerId: customerId.optional(), status: cartStatus.optional() }),
        response: { 200: cartList },
      },
    },
    async (request) => {
      const { status, customerId = restrictedIdOf(request.caller) } = request.query;
      assertActsAsSelf(request.caller, customerId, 'customer');
      const filter = { status, customerId };
      return await readPageWithCursor(shop.cursors, 'carts', filter, request.query, (page) =>
        listCarts(shop, filter, page),
      );
    },
  );

  app.get(
    '/:cartId',
    {
      ...withContract({
        operationId: 'getCart',
        summary: 'A cart with today’s prices',
        tag: 'Carts',
        access: ['shopper', 'operator'],
        dependencies: ['worker', 'store'],
        problems: ['gone', 'cart-busy'],
      }),
      schema: { params, querystring: emptyQuery, response },
    },
    async ({ params: { cartId }, caller }) => getCart(shop, cartId, restrictedIdOf(caller)),
  );

  app.post(
    '/:cartId/items',
    {
      ...changeContract(
        'addItem',
        'Put something into a cart',
        ['unknown-sku', 'out-of-stock', 'too-many-lines', 'quantity-too-large'],
        {
          description: 'Opens the cart if there is none. It belongs to the shopper who opens it.',
        },
      ),
      schema: { params, querystring: emptyQuery, body: addItemRequest, response },
    },
    async (request) => addToCart(shop, request.params.cartId, { ...request.body, ...changeFieldsOf(request) }),
  );

  app.patch(
    '/:cartId/items/:sku',
    {
      ...changeContract('setQuantity', 'Set how many there are', ['out-of-stock', 'quantity-too-large', 'unknown-sku']),
      schema: { params: itemParams, querystring: emptyQuery, body: setQuantityRequest, response },
    },
    async (request) => {
      const { cartId, sku } = request.params;
      return await changeCart(shop, cartId, setQuantityUpdate, { sku, ...request.body, ...changeFieldsOf(request) });
    },
  );

  app.delete(
    '/:cartId/items/:sku',
    {
      ...changeContract('removeItem', 'Take something out of a cart', []),
      schema: { params: itemParams, querystring: emptyQuery, response },
    },
    async (request) => {
      const { cartId, sku } = request.params;
      return await changeCart(shop, cartId, removeItemUpdate, { sku, ...changeFieldsOf(request) });
    },
  );

  app.post(
    '/:cartId/checkout',
    {
      ...changeContract(
        'checkOut',
        'Make an order of a cart',
        ['empty-cart', 'price-changed', 'unknown-sku', 'mixed-currencies', 'already-ordered'],
        {
          headers: { location: 'Where the order is.' },
          description:
            'A cart becomes at most one order, so a repetition names the same order. With `expectedTotal`, another total is rejected and the cart stays open. The order checks the total again when it reserves the stock: should the price change in that moment, the order is rejected as `PriceChanged`, and the cart is closed.',
        },
      ),
      schema: { params, querystring: emptyQuery, body: checkoutRequest, response: { 202: cartResource } },
    },
    async (request, reply) => {
      const { cartId } = request.params;
      assertActsAsSelf(request.caller, request.body.customerId, 'customer');
      const cart = await changeCart(shop, cartId, checkoutUpdate, { ...request.body, ...changeFieldsOf(request) });
      return reply.code(202).header('location', `/v1/orders/${cart.orderId!}`).send(cart);
    },
  );

  app.delete(
    '/:cartId',
    { ...changeContract('abandonCart', 'Give a cart up', []), schema: { params, querystring: emptyQuery, response } },
    async (request) => changeCart(shop, request.params.cartId, abandonUpdate, changeFieldsOf(request)),
  );
}

/** Fields of every cart change: the request id, and the customer if the caller may only see their own carts. */
function changeFieldsOf({ callIdentity, caller }: FastifyRequest): { idempotencyKey?: string; caller?: string } {
  const only = restrictedIdOf(caller);
  return {
    ...(callIdentity && { idempotencyKey: callIdentity.resourceId }),
    ...(only !== undefined && { caller: only }),
  };
}
