import type { Money } from '../schemas/money.js';
import { orderInput, type OrderLine, type PricedLine } from '../schemas/order.js';
import type { Store } from '../store/index.js';
import { invalidInput, parseInput, refused } from './failures.js';

/** An order as the shop sells it: prices from the catalogue, one line for each SKU. */
export interface Quote {
  customerId: string;
  lines: PricedLine[];
  total: Money;
  deliveryTimeoutSeconds?: number;
}

export function createCatalogueActivities({ store }: { store: Store }) {
  return {
    /**
     * Parses the input of an order and prices its lines. The workflow id must be the order's: all that reaches an order
     * later, such as the carrier's reports, is addressed by it.
     *
     * @throws `InvalidInput` with the list of problems, `UnknownSku` with the SKUs that the catalogue does not have.
     */
    async quoteOrder(input: unknown, workflowId: string): Promise<Quote> {
      const order = parseInput(orderInput, input);
      if (workflowId !== `order:${order.orderId}`) {
        const detail = `belongs to the workflow id "order:${order.orderId}", but this one is "${workflowId}"`;
        throw invalidInput([{ pointer: '/orderId', detail }]);
      }
      const wanted = mergeLines(order.lines);
      const products = await store.findProducts(wanted.map(({ sku }) => sku));
      const unknown = wanted.filter(({ sku }) => !products.has(sku)).map(({ sku }) => sku);
      if (unknown.length) throw refused('UnknownSku', `not in the catalogue: ${unknown.join(', ')}`, unknown);

      const lines = wanted.map(({ sku, quantity }) => {
        const { name, price } = products.get(sku)!;
        return { sku, name, quantity, unitPrice: price };
      });
      return {
        customerId: order.customerId,
        lines,
        total: totalOf(lines),
        ...(order.deliveryTimeoutSeconds && { deliveryTimeoutSeconds: order.deliveryTimeoutSeconds }),
      };
    },
  };
}

function mergeLines(lines: OrderLine[]): OrderLine[] {
  const merged = new Map<string, number>();
  for (const { sku, quantity } of lines) merged.set(sku, (merged.get(sku) ?? 0) + quantity);
  return [...merged].map(([sku, quantity]) => ({ sku, quantity }));
}

function totalOf(lines: PricedLine[]): Money {
  const [first, ...others] = new Set(lines.map(({ unitPrice }) => unitPrice.currency));
  if (others.length)
    throw refused('MixedCurrencies', `an order has one currency, not ${[first, ...others].join(', ')}`);
  return { value: lines.reduce((sum, line) => sum + line.quantity * line.unitPrice.value, 0), currency: first! };
}
