import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { abandonCart, addItem, cartResource, checkoutCart, setQuantity } from '../../schemas/cart.js';
import { id, sku, text } from '../../schemas/text.js';
import { abandonUpdate, checkoutUpdate, removeItemUpdate, setQuantityUpdate } from '../../workflows/cart/contract.js';
import type { AppDependencies } from '../app.js';
import { addToCart, changeCart, getCart } from '../carts.js';
import { invalidRequest } from '../errors.js';

const params = z.strictObject({ cartId: id });
const itemParams = params.extend({ sku });
const response = { 200: cartResource };

/** The body of a change: its name comes in the header `Idempotency-Key`. */
const addBody = addItem.omit({ requestId: true });
const checkoutBody = checkoutCart.omit({ requestId: true });

/** Carts: a cart opens with its first item; every change answers with the cart. */
export async function cartRoutes(instance: FastifyInstance, shop: AppDependencies): Promise<void> {
  const app = instance.withTypeProvider<ZodTypeProvider>();

  app.get('/:cartId', { schema: { params, response } }, async ({ params: { cartId } }) => getCart(shop, cartId));

  app.post('/:cartId/items', { schema: { params, body: addBody, response } }, async (request) => {
    return await addToCart(shop, request.params.cartId, { ...request.body, ...requestId(request) });
  });

  app.patch(
    '/:cartId/items/:sku',
    { schema: { params: itemParams, body: setQuantity.pick({ quantity: true }), response } },
    async (request) => {
      const { cartId, sku } = request.params;
      const change = { sku, quantity: request.body.quantity, ...requestId(request) };
      return await changeCart(shop, cartId, setQuantityUpdate, change);
    },
  );

  app.delete('/:cartId/items/:sku', { schema: { params: itemParams, response } }, async (request) => {
    const { cartId, sku } = request.params;
    return await changeCart(shop, cartId, removeItemUpdate, { sku, ...requestId(request) });
  });

  app.post(
    '/:cartId/checkout',
    { schema: { params, body: checkoutBody, response: { 202: cartResource } } },
    async (request, reply) => {
      const { cartId } = request.params;
      const cart = await changeCart(shop, cartId, checkoutUpdate, { ...request.body, ...requestId(request) });
      return reply.code(202).header('location', `/v1/orders/${cart.orderId!}`).send(cart);
    },
  );

  app.delete('/:cartId', { schema: { params, response } }, async (request) =>
    changeCart(shop, request.params.cartId, abandonUpdate, abandonCart.parse(requestId(request))),
  );
}

const idempotencyKey = text(255);

/** The name that the caller gave the request. @throws 400 when the header is there and no name. */
function requestId({ headers }: FastifyRequest): { requestId?: string } {
  const header = headers['idempotency-key'];
  if (header === undefined) return {};
  const parsed = idempotencyKey.safeParse(header);
  if (parsed.success) return { requestId: parsed.data };
  throw invalidRequest([{ pointer: '', detail: 'the header Idempotency-Key must have 1 to 255 characters' }]);
}
