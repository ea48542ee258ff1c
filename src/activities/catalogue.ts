import type { Money } from '../schemas/money.js';
import { approvalIdOfOrder, MAX_DESCRIPTION, type ApprovalInput, type Stage } from '../schemas/approval.js';
import { orderInput, type OrderInput, type OrderLine, type PricedLine } from '../schemas/order.js';
import type { Store } from '../store/index.js';
import { assertWorkflowId, parseInput, refused } from './failures.js';

/** An order as the shop sells it: prices from the catalogue, one line for each SKU. */
export interface Quote {
  customerId: string;
  lines: PricedLine[];
  total: Money;
  deliveryTimeoutSeconds?: number;
  /** What has to be asked before the customer is charged. */
  approval?: ApprovalInput;
}

/** Which orders need an approval, and whose. */
export interface OrderApproval {
  /** From this total on, in minor units of whatever currency. */
  threshold: number;
  stages: Stage[];
}

export function createCatalogueActivities({ store, orderApproval }: { store: Store; orderApproval?: OrderApproval }) {
  return {
    /**
     * Parses the input of an order and prices its lines. The workflow id must be the order's: all that reaches an order
     * later, such as the carrier's reports, is addressed by it.
     *
     * @throws `InvalidInput` with the list of problems, `UnknownSku` with the SKUs that the catalogue does not have.
     */
    async quoteOrder(input: unknown, workflowId: string): Promise<Quote> {
      const order = parseInput(orderInput, input);
      assertWorkflowId('/orderId', `order:${order.orderId}`, workflowId);
      const wanted = mergeLines(order.lines);
      const products = await store.findProducts(wanted.map(({ sku }) => sku));
      const unknown = wanted.filter(({ sku }) => !products.has(sku)).map(({ sku }) => sku);
      if (unknown.length) throw refused('UnknownSku', `not in the catalogue: ${unknown.join(', ')}`, unknown);

      const lines = wanted.map(({ sku, quantity }) => {
        const { name, price } = products.get(sku)!;
        return { sku, name, quantity, unitPrice: price };
      });
      const total = totalOf(lines);
      const needsApproval = orderApproval && total.value >= orderApproval.threshold;
      return {
        customerId: order.customerId,
        lines,
        total,
        ...(needsApproval && { approval: questionOf(order, lines, total, orderApproval.stages) }),
        ...(order.deliveryTimeoutSeconds && { deliveryTimeoutSeconds: order.deliveryTimeoutSeconds }),
      };
    },
  };
}

/** The customer may want to know sooner than the shop's rules say, not later. */
function questionOf(order: OrderInput, lines: PricedLine[], amount: Money, stages: Stage[]): ApprovalInput {
  const { orderId, customerId, approvalTimeoutSeconds = Infinity } = order;
  return {
    approvalId: approvalIdOfOrder(orderId),
    title: `Order ${orderId} of ${customerId}`,
    description: lines
      .map(({ quantity, name }) => `${quantity} x ${name}`)
      .join('\n')
      .slice(0, MAX_DESCRIPTION)
      .toWellFormed(),
    requestedBy: customerId,
    amount,
    stages: stages.map((stage) => {
      const timeoutSeconds = Math.min(stage.timeoutSeconds, approvalTimeoutSeconds);
      return { ...stage, timeoutSeconds };
    }),
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
