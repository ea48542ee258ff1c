import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import {
  addItemRequest,
  cartId,
  cartList,
  cartListQuery,
  cartResource,
  checkoutRequest,
  setQuantityRequest,
} from '../../schemas/cart.js';
import { emptyQuery } from '../../schemas/shared/page.js';
import { sku } from '../../schemas/shared/primitives.js';
import { abandonUpdate, checkoutUpdate, removeItemUpdate, setQuantityUpdate } from '../../workflows/cart/contract.js';
import type { AppDependencies, Backends } from '../dependencies.js';
import { assertActsAsSelf, restrictedIdOf } from '../http/caller.js';
import { withContract, type RouteContract } from '../http/route-contract.js';
import { changeCart } from './commands.js';
import { listCarts } from './list.js';
import { getCart } from './read.js';
import { addToCart } from './start.js';

const params = z.strictObject({ cartId });
const itemParams = params.extend({ sku });
const response = { 200: cartResource };

/** The contract of a cart change. A worker applies the change, and the store provides the prices. */
const changeContract = ({
  problems = [],
  ...contract
}: Pick<RouteContract, 'operationId' | 'summary' | 'description' | 'problems' | 'headers'>) =>
  withContract({
    tag: 'Carts',
    access: ['shopper', 'operator'],
    dependencies: ['worker', 'store'],
    problems: ['cart-busy', 'cart-closed', 'update-limit', ...problems],
    idempotency: true,
    ...contract,
  });

/** Routes of carts. A cart opens with its first item; every change returns the cart. */
export async function cartRoutes(
  instance: FastifyInstance,
  deps: Backends & Pick<AppDependencies, 'cursors'>,
): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get(
    '',
    {
      ...withContract({
        operationId: 'listCarts',
        summary: 'List carts, newest first',
        description:
          'Reads the store. A cart appears when its first item is added. If several carts had the same id, each of them is listed. Shoppers see only their own carts.',
        tag: 'Carts',
        access: ['shopper', 'operator'],
        dependencies: ['store'],
      }),
      schema: {
        querystring: cartListQuery,
        response: { 200: cartList },
      },
    },
    async ({ query, caller }) => listCarts(deps, query, caller),
  );

  app.get(
    '/:cartId',
    {
      ...withContract({
        operationId: 'getCart',
        summary: 'Get a cart with current prices',
        tag: 'Carts',
        access: ['shopper', 'operator'],
        dependencies: ['worker', 'store'],
        problems: ['cart-closed', 'cart-busy'],
      }),
      schema: { params, querystring: emptyQuery, response },
    },
    async ({ params: { cartId }, caller }) => getCart(deps, cartId, restrictedIdOf(caller)),
  );

  app.post(
    '/:cartId/items',
    {
      ...changeContract({
        operationId: 'addItem',
        summary: 'Add an item to a cart',
        description: 'Opens the cart if none is open. A new cart belongs to the shopper who opens it.',
        problems: ['unknown-sku', 'out-of-stock', 'too-many-lines', 'quantity-too-large'],
      }),
      schema: { params, querystring: emptyQuery, body: addItemRequest, response },
    },
    async (request) => addToCart(deps, request.params.cartId, { ...request.body, ...changeFieldsOf(request) }),
  );

  app.patch(
    '/:cartId/items/:sku',
    {
      ...changeContract({
        operationId: 'setQuantity',
        summary: 'Set the quantity of an item',
        problems: ['out-of-stock', 'quantity-too-large', 'unknown-sku'],
      }),
      schema: { params: itemParams, querystring: emptyQuery, body: setQuantityRequest, response },
    },
    async (request) => {
      const { cartId, sku } = request.params;
      return await changeCart(deps, cartId, setQuantityUpdate, { sku, ...request.body, ...changeFieldsOf(request) });
    },
  );

  app.delete(
    '/:cartId/items/:sku',
    {
      ...changeContract({ operationId: 'removeItem', summary: 'Remove an item from a cart' }),
      schema: { params: itemParams, querystring: emptyQuery, response },
    },
    async (request) => {
      const { cartId, sku } = request.params;
      return await changeCart(deps, cartId, removeItemUpdate, { sku, ...changeFieldsOf(request) });
    },
  );

  app.post(
    '/:cartId/checkout',
    {
      ...changeContract({
        operationId: 'checkOut',
        summary: 'Check out a cart',
        description:
          'A cart becomes at most one order, so a repeated request returns the same order id. If the total differs from `expectedTotal`, the checkout is rejected and the cart stays open. The order checks the total again when it reserves the stock. If the price has changed by then, the order is rejected as `PriceChanged` and the cart stays closed.',
        problems: ['empty-cart', 'price-changed', 'unknown-sku', 'mixed-currencies', 'already-ordered'],
        headers: { location: 'The URL of the order.' },
      }),
      schema: { params, querystring: emptyQuery, body: checkoutRequest, response: { 202: cartResource } },
    },
    async (request, reply) => {
      const { cartId } = request.params;
      assertActsAsSelf(request.caller, request.body.customerId, 'customer');
      const cart = await changeCart(deps, cartId, checkoutUpdate, { ...request.body, ...changeFieldsOf(request) });
      return reply.code(202).header('location', `/v1/orders/${cart.orderId!}`).send(cart);
    },
  );

  app.delete(
    '/:cartId',
    {
      ...changeContract({ operationId: 'abandonCart', summary: 'Abandon a cart' }),
      schema: { params, querystring: emptyQuery, response },
    },
    async (request) => changeCart(deps, request.params.cartId, abandonUpdate, changeFieldsOf(request)),
  );
}

/**
 * Returns the fields of every cart change. `caller` is set only for a customer, who may change only their own carts.
 */
function changeFieldsOf({ callIdentity, caller }: FastifyRequest): { idempotencyKey?: string; caller?: string } {
  const restrictedToId = restrictedIdOf(caller);
  return {
    ...(callIdentity && { idempotencyKey: callIdentity.resourceId }),
    ...(restrictedToId !== undefined && { caller: restrictedToId }),
  };
}
