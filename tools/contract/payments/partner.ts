import type { PaymentGateway } from '../../../src/activities/payment-gateway.js';
import type { PaymentEvent } from '../../../src/schemas/payment-event.js';
import type { Money } from '../../../src/schemas/shared/money.js';
import type { HeldCalls } from '../contract-case.js';

/** The calls that move money. `charge` includes all requests that a charge makes. */
export type PaymentOperation = 'charge' | 'refund';

/** What the shop's database knows of the orders of the suite. */
export interface OrderLookup {
  findOrder: (orderId: string) => Promise<{ placedAt: Date; total: Money } | undefined>;
}

/**
 * A payment provider that the suite can call and, if possible, make misbehave. The author of an adapter writes one for
 * the provider or for a fake of it. Cases that need a missing method are reported as not tried.
 */
export interface PaymentPartner {
  name: string;
  /** Creates the adapter under test. */
  createGateway: (orders: OrderLookup) => PaymentGateway;
  /** Card tokens with a known result. */
  cards: { accepted: string; declined?: string; insufficientFunds?: string; unknown?: string };
  /** The amount that the suite charges by default. */
  amount: Money;
  /** How long the partner needs until a lookup by order id finds a new charge. Defaults to 0. */
  lookupDelayMs?: number;

  /** How many cases run at once. Defaults to 10. A sandbox may have a low rate limit. */
  concurrency?: number;

  /** How long a case may take. Defaults to two minutes. Includes the waits for `lookupDelayMs`. */
  caseTimeLimitMs?: number;

  /** Counts the charges that took money, and the refunds. By default, the suite counts with `listCharges`. */
  countEffects?: (orderId: string) => Promise<{ charges: number; refunds: number }>;
  /** Executes the next request of this kind and drops its response. */
  loseNextResponse?: (operation: PaymentOperation, orderId: string) => Promise<void>;
  /** Executes the next request of this kind and answers 200 with a body that the adapter cannot know. */
  garbleNextResponse?: (operation: PaymentOperation, orderId: string) => Promise<void>;
  /** Answers the next request of this kind with a status, without an effect. */
  failNextRequest?: (
    operation: PaymentOperation,
    orderId: string,
    response: { status: number; retryAfter?: string },
  ) => Promise<void>;
  /** Keeps the requests of a charge without an effect until their release, also when the client has gone. */
  holdCharge?: (orderId: string) => Promise<HeldCalls>;
  /** Forgets the idempotency keys of an order, as after the retention. */
  expireKeys?: (orderId: string) => Promise<void>;
  /** The events that the provider sends to the shop. */
  events?: PaymentEvents;
  close?: () => Promise<void>;
}

/** `current` and `previous` are secrets of the shop, and `foreign` is the secret of another account. */
export type SigningSecret = 'current' | 'previous' | 'foreign';

export interface SignedEvent {
  headers: Record<string, string>;
  body: string;
}

export interface EventReceiver {
  /** Reads a request as the API does. @throws errors for which the API would answer 500. */
  receive: (request: SignedEvent) => 'recorded' | 'ignored' | 'rejected';
  /** The recorded events, each once. */
  recorded: () => PaymentEvent[];
}

export interface PaymentEvents {
  /** Writes the body of an event as the provider does. */
  makeBody: (event: PaymentEvent) => string;
  /** Signs a body with these secrets, by default with the current one and now. */
  sign: (body: string, options?: { secrets?: readonly SigningSecret[]; at?: Date }) => SignedEvent;
  createReceiver: () => Promise<EventReceiver>;
}
