import { isDeepStrictEqual } from 'node:util';
import type { Money } from '../../../src/schemas/shared/money.js';
import type { OrderLine } from '../../../src/schemas/order.js';
import type { Product } from '../../../src/schemas/product.js';
import type { Fakes } from '../../fakes/fakes.js';

/** The data of an order that determines how it must balance. */
export interface ExpectedOrder {
  orderId: string;
  /** The products of the order, with their stock before the order. The list may contain other products. */
  products: Product[];
  lines: OrderLine[];
  token: string;
}

/** The records of an order in the external systems. */
export type PartnerRecords = ReturnType<Fakes['records']>;

/**
 * The three valid balances of an order.
 * - `rolled back`: the order holds no stock, and the customer has paid nothing.
 * - `sold`: the customer has paid, and the parcel is accepted, in transit or delivered.
 * - `written off`: the goods are in transit or lost, and the customer got a refund.
 */
export type BalanceVerdict = 'rolled back' | 'sold' | 'written off';

export interface Balance {
  verdict: BalanceVerdict;
  /** Amounts in minor units (cents). */
  charged: number;
  refunded: number;
  /** The statuses of the order's parcels. An order has at most one parcel. */
  parcels: string[];
}

/** Thrown when a charge, refund, shipment or cancellation happened more than once. */
export class DuplicateEffectError extends Error {
  override readonly name = 'DuplicateEffectError';
}

/**
 * Computes an order's balance from the records of the external systems and the quantity of each product that the order
 * holds.
 *
 * @throws when the order does not balance, or when a call had a wrong key or body. @throws DuplicateEffectError when an
 * effect happened twice.
 */
export function checkBalance(
  order: ExpectedOrder,
  records: PartnerRecords,
  pieces: ReadonlyMap<string, number>,
): Balance {
  const { orderId } = order;
  const total = catalogueTotal(order);
  const held = holdsStock(order, pieces);

  const charges = records.charges.filter(({ status }) => status === 'succeeded');
  const refunds = records.refunds.filter(({ status }) => status === 'refunded');
  assertAtMostOnce({ charges, refunds, shipments: records.shipments, cancellations: records.cancellations });
  checkRequests(order, records.requests);

  const charged = sum(charges.map(({ amount }) => amount.value));
  const refunded = sum(refunds.map((refund) => ('amount' in refund ? refund.amount.value : 0)));
  const parcels = records.shipments.map(({ status }) => String(status));
  const [parcel = 'none'] = parcels;
  const money = charged - refunded === total.value ? 'kept' : charged === refunded ? 'none' : 'in between';

  const states: Record<string, BalanceVerdict> = {
    'back, none, none': 'rolled back',
    'back, none, cancelled': 'rolled back',
    'held, kept, accepted': 'sold',
    'held, kept, in_transit': 'sold',
    'held, kept, delivered': 'sold',
    'held, none, in_transit': 'written off',
    'held, none, lost': 'written off',
  };
  const state = `${held ? 'held' : 'back'}, ${money}, ${parcel}`;
  const verdict = states[state];
  if (!verdict) {
    throw new Error(
      `Order ${orderId} does not balance (stock, money, parcel): ${state}; ${charged} charged, ${refunded} refunded of ${total.value}`,
    );
  }
  return { verdict, charged, refunded, parcels };
}

/** The total of the order at catalogue prices. */
export function catalogueTotal({ lines, products }: Pick<ExpectedOrder, 'lines' | 'products'>): Money {
  const priceOf = (sku: string) => products.find((product) => product.sku === sku)?.price.value ?? 0;
  return {
    value: sum(lines.map(({ sku, quantity }) => quantity * priceOf(sku))),
    currency: products[0]?.price.currency ?? 'EUR',
  };
}

/** Whether the order holds all ordered quantities. False when it holds nothing. @throws when it holds only a part. */
function holdsStock({ orderId, lines, products }: ExpectedOrder, pieces: ReadonlyMap<string, number>): boolean {
  const ordered = (sku: string) => sum(lines.filter((line) => line.sku === sku).map(({ quantity }) => quantity));
  const held = products.map(({ sku }) => pieces.get(sku) ?? 0);
  if (held.every((pieces) => pieces === 0)) return false;
  if (products.every(({ sku }, index) => held[index] === ordered(sku))) return true;
  throw new Error(`order ${orderId} holds ${held.join(', ')} pieces: neither all nor none`);
}

function assertAtMostOnce(effects: Record<string, unknown[]>): void {
  for (const [name, list] of Object.entries(effects)) {
    if (list.length > 1)
      throw new DuplicateEffectError(`${list.length} ${name} for one order: ${JSON.stringify(list)}`);
  }
}

/** Checks that every call, including each retry, has the idempotency key and the body that the order determines. */
function checkRequests(order: ExpectedOrder, requests: PartnerRecords['requests']): void {
  const { orderId, token } = order;
  const key = (what: string) => `order:${orderId}:${what}`;
  const expected: Record<string, { idempotencyKey: string; body: unknown }> = {
    '/payments/charges': { idempotencyKey: key('charge'), body: { orderId, amount: catalogueTotal(order), token } },
    '/payments/refunds': { idempotencyKey: key('refund'), body: { orderId } },
    '/carrier/shipments': { idempotencyKey: key('shipment'), body: { orderId, lines: mergeLines(order.lines) } },
    '/carrier/cancellations': { idempotencyKey: key('shipment-cancellation'), body: { orderId } },
  };
  for (const { path, idempotencyKey, body } of requests) {
    if (path.startsWith('/v1/')) {
      checkStripeRequest(order, { path, idempotencyKey, body });
      continue;
    }
    const call = { idempotencyKey, body };
    if (isDeepStrictEqual(call, expected[path])) continue;
    throw new Error(`the call of ${path} was ${JSON.stringify(call)}, expected ${JSON.stringify(expected[path])}`);
  }
}

/**
 * Checks a call of Stripe's API. A key contains the order id and the PaymentIntent, and a number after an error that
 * Stripe has stored.
 */
function checkStripeRequest(
  order: ExpectedOrder,
  { path, idempotencyKey, body }: Pick<PartnerRecords['requests'][number], 'path' | 'idempotencyKey' | 'body'>,
): void {
  const { value, currency } = catalogueTotal(order);
  const keyPattern = /^order:([\w.-]+):(charge|(charge-confirm|charge-cancel|refund):pi_\w+)(:\d+)?$/;
  const hasOwnKey = keyPattern.exec(idempotencyKey ?? '')?.[1] === order.orderId;
  const { amount, currency: code } = body as { amount?: string; currency?: string };
  const isCreation = path === '/v1/payment_intents';
  const hasTotal = !isCreation || (amount === String(value) && code === currency.toLowerCase());
  if (!hasOwnKey || !hasTotal)
    throw new Error(
      `the call of ${path} was ${JSON.stringify({ idempotencyKey, body })}, expected the order's key and total`,
    );
}

function mergeLines(lines: OrderLine[]): OrderLine[] {
  const skus = [...new Set(lines.map(({ sku }) => sku))];
  return skus.map((sku) => ({
    sku,
    quantity: sum(lines.filter((line) => line.sku === sku).map(({ quantity }) => quantity)),
  }));
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
