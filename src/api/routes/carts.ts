import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { addItemRequest, cartId, cartResource, checkoutRequest, setQuantityRequest } from '../../schemas/cart.js';
import { noQuery } from '../../schemas/page.js';
import { sku } from '../../schemas/text.js';
import { abandonUpdate, checkoutUpdate, removeItemUpdate, setQuantityUpdate } from '../../workflows/cart/contract.js';
import type { AppDependencies } from '../app.js';
import { assertActsAs, restrictedTo } from '../auth/caller.js';
import { addToCart, changeCart, getCart } from '../carts.js';
import { contract, type Contract } from '../contract.js';
import type { ProblemKind } from '../problems.js';

const params = z.strictObject({ cartId });
const itemParams = params.extend({ sku });
const response = { 200: cartResource };

/** A change of a cart. A worker answers it, and prices come from the store. */
const change = (operationId: string, summary: string, problems: ProblemKind[], more: Partial<Contract> = {}) =>
  contract({
    ...{ operationId, summary, tag: 'Carts', access: ['shopper', 'operator'], needs: ['worker', 'store'] },
    ...{ problems: ['cart-busy', 'gone', ...problems], idempotent: true },
    ...more,
  });

/** Carts: a cart opens with its first item; every change answers with the cart. */
export async function cartRoutes(instance: FastifyInstance, shop: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '/:cartId',
    {
      ...contract({
        operationId: 'getCart',
        summary: 'A cart with today’s prices',
        tag: 'Carts',
        access: ['shopper', 'operator'],
        needs: ['worker', 'store'],
        problems: ['gone', 'cart-busy'],
      }),
      schema: { params, querystring: noQuery, response },
    },
    async ({ params: { cartId }, caller }) => getCart(shop, cartId, restrictedTo(caller)),
  );

  app.post(
    '/:cartId/items',
    {
      ...change(
        'addItem',
        'Put something into a cart',
        ['unknown-sku', 'out-of-stock', 'too-many-lines', 'quantity-too-large'],
        {
          description: 'Opens the cart if there is none. It belongs to the shopper who opens it.',
        },
      ),
      schema: { params, querystring: noQuery, body: addItemRequest, response },
    },
    async (request) => addToCart(shop, request.params.cartId, { ...request.body, ...saidOf(request) }),
  );

  app.patch(
    '/:cartId/items/:sku',
    {
      ...change('setQuantity', 'Set how many there are', ['out-of-stock', 'quantity-too-large', 'unknown-sku']),
      schema: { params: itemParams, querystring: noQuery, body: setQuantityRequest, response },
    },
    async (request) => {
      const { cartId, sku } = request.params;
      return await changeCart(shop, cartId, setQuantityUpdate, { sku, ...request.body, ...saidOf(request) });
    },
  );

  app.delete(
    '/:cartId/items/:sku',
    {
      ...change('removeItem', 'Take something out of a cart', []),
      schema: { params: itemParams, querystring: noQuery, response },
    },
    async (request) => {
      const { cartId, sku } = request.params;
      return await changeCart(shop, cartId, removeItemUpdate, { sku, ...saidOf(request) });
    },
  );

  app.post(
    '/:cartId/checkout',
    {
      ...change('checkOut', 'Make an order of a cart', ['empty-cart'], {
        headers: { location: 'Where the order is.' },
        description: 'The order’s id is the id of this life of the cart, so a repetition names the same order.',
      }),
      schema: { params, querystring: noQuery, body: checkoutRequest, response: { 202: cartResource } },
    },
    async (request, reply) => {
      const { cartId } = request.params;
      assertActsAs(request.caller, request.body.customerId, 'customer');
      const cart = await changeCart(shop, cartId, checkoutUpdate, { ...request.body, ...saidOf(request) });
      return reply.code(202).header('location', `/v1/orders/${cart.orderId!}`).send(cart);
    },
  );

  app.delete(
    '/:cartId',
    { ...change('abandonCart', 'Give a cart up', []), schema: { params, querystring: noQuery, response } },
    async (request) => changeCart(shop, request.params.cartId, abandonUpdate, saidOf(request)),
  );
}

/** What a change says of itself: its name, and who asks, if it is somebody who may only see his own. */
function saidOf({ named, caller }: FastifyRequest): { requestId?: string; caller?: string } {
  const only = restrictedTo(caller);
  return { ...(named && { requestId: named.resourceId }), ...(only !== undefined && { caller: only }) };
}
