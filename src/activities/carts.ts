import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import { rejectionFailure } from '../failures/rejections.js';
import { hashContent } from '../store/content-hash.js';
import { cartInput, type CartStatus } from '../schemas/cart.js';
import { money, totalMismatchText, type Money } from '../schemas/shared/money.js';
import type { OrderInput, OrderLine } from '../schemas/order.js';
import type { CartKey } from '../store/carts.js';
import { calculateTotal } from '../store/products.js';
import type { Store } from '../store/index.js';
import { cartWorkflowId } from '../workflows/cart/contract.js';
import { orderWorkflowId } from '../workflows/order/contract.js';
import { assertWorkflowId, parseInput } from './failures.js';

export function createCartActivities({ store }: { store: Store }) {
  return {
    /** Parses the input of a cart. The parameter `cartId` comes from the workflow id. @throws `InvalidInput`. */
    async openCart(input: unknown, cartId: string): Promise<void> {
      const cart = parseInput(cartInput, input);
      assertWorkflowId('/cartId', cartWorkflowId(cart.cartId), cartWorkflowId(cartId));
    },

    /**
     * Checks that the stock covers this quantity of a product, and records the cart with its first item. Does not
     * reserve stock; only the order does.
     *
     * @param at when the change began.
     * @throws `UnknownSku`, `OutOfStock`.
     */
    async checkItem({ cart, sku, quantity, at }: ItemCheck): Promise<void> {
      const stock = await store.recordCartIfInStock(cart, { sku, quantity, at: new Date(at) });
      if (stock === undefined) throw rejectionFailure('UnknownSku', `not in the catalogue: ${sku}`);
      if (stock < quantity) throw rejectionFailure('OutOfStock', `${sku}: ${quantity} requested, ${stock} available`);
    },

    /**
     * Claims the order of a cart. An execution of a cart can claim only one order. The total must match the expected
     * total, unless this execution has already started its order. Without an expected total, the price is not checked
     * here. A checkout can time out after its claim and before it starts the order. The next checkout then replaces
     * that claim.
     *
     * @throws `InvalidInput`; `PriceChanged` with both totals; `AlreadyOrdered` when the cart became an order with
     * different content before a reset; `UnknownSku`; `MixedCurrencies`.
     */
    async claimCartOrder({ cart, order }: { cart: CartKey; order: OrderInput }): Promise<void> {
      const { orderId, lines, expectedTotal } = order;
      const claim = { orderId, contentHash: orderContentHashOf(order) };
      if (expectedTotal && !(await becameOrder(cart))) await assertTotal(lines, expectedTotal);
      if (await store.claimCartOrder(cart, claim)) return;
      if (await becameOrder(cart)) {
        throw rejectionFailure('AlreadyOrdered', `this cart became order ${orderId} with different content`, {
          orderId,
        });
      }
      const attemptAt = new Date(Context.current().info.currentAttemptScheduledTimestampMs);
      if (await store.replaceCartOrderClaim(cart, claim, attemptAt)) return;
      // Either a later checkout has claimed the order and is about to start it, or the clocks differ. A retry resolves
      // both cases.
      throw new Error(`another checkout has claimed order ${orderId}`);
    },

    /** Stores one notification per key for the customer of a cart. */
    async notifyCustomer(message: { key: string; cartId: string; kind: 'cart_reminder' }): Promise<void> {
      await store.addNotification(message);
    },

    /**
     * Records that a cart closed without an order. If `notificationKey` is set, also stores one notification for the
     * customer.
     */
    async closeCart({ cart, ...closing }: CartClosing): Promise<void> {
      await store.closeCart(cart, closing);
    },
  };

  /** Whether this execution of the cart has started the order that it claimed. */
  async function becameOrder({ firstRunId }: CartKey): Promise<boolean> {
    const claimed = await store.findCartOrder(firstRunId);
    if (!claimed) return false;
    const { orderId } = claimed;
    return (await store.findOrder(orderId)) !== undefined || (await workflowExists(orderWorkflowId(orderId)));
  }

  async function assertTotal(lines: OrderLine[], expectedTotal: Money): Promise<void> {
    const sum = calculateTotal(lines, await store.findProducts(lines.map(({ sku }) => sku)));
    switch (sum.status) {
      case 'unknown_sku':
        throw rejectionFailure('UnknownSku', `not in the catalogue: ${sum.skus.join(', ')}`, sum.skus);
      case 'mixed_currencies':
        throw rejectionFailure('MixedCurrencies', `an order has one currency, not ${sum.currencies.join(', ')}`);
      case 'priced': {
        const { total } = sum;
        if (isSameAmount(total, expectedTotal)) return;
        // A client that sends the update directly to the workflow bypasses the API's validation, so the currency can be
        // invalid.
        const expected = parseInput(money, expectedTotal);
        throw rejectionFailure('PriceChanged', totalMismatchText(total, expected), { total, expectedTotal: expected });
      }
    }
  }
}

async function workflowExists(workflowId: string): Promise<boolean> {
  try {
    await Context.current().client.workflow.getHandle(workflowId).describe();
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

interface ItemCheck {
  cart: CartKey;
  sku: string;
  quantity: number;
  at: string;
}

interface CartClosing {
  cart: CartKey;
  status: Exclude<CartStatus, 'open'>;
  notificationKey?: string;
}

/**
 * Hashes the customer, the goods, the payment token and the expected total. The sequence of the lines does not change
 * the hash.
 */
function orderContentHashOf({ customerId, lines, payment, expectedTotal }: OrderInput): string {
  const bySku = (a: OrderLine, b: OrderLine) => (a.sku < b.sku ? -1 : 1);
  const goods = lines.toSorted(bySku).map(({ sku, quantity }) => [sku, quantity]);
  const total = expectedTotal ? [expectedTotal.value, expectedTotal.currency] : null;
  return hashContent([customerId, goods, payment.token, total]);
}

const isSameAmount = (a: Money, b: Money) => a.value === b.value && a.currency === b.currency;
