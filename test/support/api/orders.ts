import type { OrderInput, OrderResource } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import { orderWorkflowId } from '../../../src/workflows/order/contract.js';
import { deliverParcel } from '../fakes/running-fakes.js';
import { addProduct, makeOrder, type Shop } from '../shop/shop.js';
import type { Api } from './api.js';

interface ShopWithApi {
  shop: Shop;
  api: Pick<Api, 'post' | 'waitForOrderStage' | 'waitForOrderStatus'>;
}

export interface ProductOrder {
  product: Product;
  order: OrderInput;
}

/** Adds a product, and makes the input of an order for two units of the product. */
export async function makeProductOrder(
  { store }: Pick<Shop, 'store'>,
  overrides: Partial<OrderInput> = {},
): Promise<ProductOrder> {
  const product = await addProduct(store);
  return { product, order: makeOrder({ lines: [{ sku: product.sku, quantity: 2 }], ...overrides }) };
}

/** Places an order over HTTP, and waits until the order awaits the pickup by the carrier. */
export async function placeShippedOrder(
  { shop, api }: ShopWithApi,
  overrides?: Partial<OrderInput>,
): Promise<ProductOrder & { shipped: OrderResource }> {
  const made = await makeProductOrder(shop, overrides);
  const { status, body } = await api.post('/v1/orders', made.order);
  if (status !== 202) throw new Error(`the order was not accepted: ${JSON.stringify(body)}`);
  return { ...made, shipped: await api.waitForOrderStage(made.order.orderId, 'awaiting_pickup') };
}

/** Places an order over HTTP, delivers its parcel, and waits until the workflow of the order is closed. */
export async function placeDeliveredOrder(
  { shop, api }: ShopWithApi,
  overrides?: Partial<OrderInput>,
): Promise<ProductOrder & { completed: OrderResource }> {
  const { shipped: _, ...made } = await placeShippedOrder({ shop, api }, overrides);
  const { orderId } = made.order;
  await deliverParcel(shop.fakes, orderId);
  const completed = await api.waitForOrderStatus(orderId, 'completed');
  await shop.client.workflow.getHandle(orderWorkflowId(orderId)).result();
  return { ...made, completed };
}
