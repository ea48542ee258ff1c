import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';
import { z } from 'zod';
import { timeoutSignal } from '../../../src/async/timeout-signal.js';
import type { StripeEvent } from '../ledger/ledger-entries.js';
import type { Ledger } from '../ledger/ledger.js';

const INITIAL_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 30_000;
const ATTEMPT_TIMEOUT_MS = 10_000;
/** Older than the five minutes that receivers tolerate. */
const STALE_MS = 10 * 60_000;
const FORGED_SECRET = 'whsec_secretOfAnotherAccount';

export const eventFaultSchema = z.strictObject({
  orderId: z.string().min(1).optional(),
  /**
   * `duplicate` sends the event twice, and `out-of-order` after the next event of the order. `stale` and `forged` make one
   * attempt with such a signature before the valid one. `delay` sends the event later.
   */
  fault: z.enum(['duplicate', 'out-of-order', 'stale', 'forged', 'delay']),
  delayMs: z.int().nonnegative().max(600_000).default(1_000),
});
type EventFault = z.infer<typeof eventFaultSchema>;

interface EventSenderOptions {
  /** The URL that receives the events. If unset, there are no events. */
  url?: string | undefined;
  /** The secret that signs the events: `whsec_` and any text. */
  secret?: string | undefined;
  log: { warn(details: object, message: string): void };
}

/** How an attempt is signed. Defaults to now and the secret of the receiver. */
interface Signing {
  at?: Date;
  secret?: string;
}

/** The content of an event, without the id and the time that the sender adds. */
export type ReportedEvent = Pick<StripeEvent, 'orderId' | 'type' | 'object'>;

/**
 * Sends signed events as Stripe does: each event on its own, without an order, and again until the receiver answers 2xx.
 * The ledger keeps the events, so that pending events survive a restart.
 */
export class StripeEventSender {
  readonly #ledger: Ledger;
  readonly #options: EventSenderOptions;
  readonly #closing = new AbortController();
  readonly #deliveries = new Set<Promise<void>>();
  readonly #faults: EventFault[] = [];
  /** The events that wait for the next event of their order. */
  readonly #waiting = new Map<string, () => void>();
  #url: string | undefined;

  constructor(ledger: Ledger, options: EventSenderOptions) {
    this.#ledger = ledger;
    this.#options = options;
    this.#url = options.url;
    if (this.#url !== undefined)
      for (const event of ledger.events.values()) if (event.state === 'pending') this.#start(event);
  }

  setUrl(url: string): void {
    this.#url = url;
  }

  addFault(fault: z.input<typeof eventFaultSchema>): EventFault {
    const parsed = eventFaultSchema.parse(fault);
    this.#faults.push(parsed);
    return parsed;
  }

  clearFaults(): void {
    this.#faults.length = 0;
  }

  /** The events of an order, or of all orders, oldest first. */
  list(orderId?: string): StripeEvent[] {
    return [...this.#ledger.events.values()].filter((event) => orderId === undefined || event.orderId === orderId);
  }

  /** Records an event and delivers it in the background. @returns undefined if nobody receives events. */
  report({ orderId, type, object }: ReportedEvent): StripeEvent | undefined {
    if (this.#url === undefined || this.#options.secret === undefined) return undefined;
    const eventId = `evt_${randomUUID().replaceAll('-', '')}`;
    const event: StripeEvent = {
      at: new Date().toISOString(),
      eventId,
      orderId,
      type,
      object,
      state: 'pending',
      statuses: [],
    };
    this.#ledger.append({ type: 'event', event });
    this.#start(event);
    return event;
  }

  /** Stops all deliveries. Pending events stay pending in the ledger. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const release of this.#waiting.values()) release();
    await Promise.all(this.#deliveries);
  }

  #start(event: StripeEvent): void {
    const delivery = this.#deliver(event)
      .catch((error: unknown) => {
        if (!this.#closing.signal.aborted) this.#options.log.warn({ error, event }, 'an event was not delivered');
      })
      .finally(() => this.#deliveries.delete(delivery));
    this.#deliveries.add(delivery);
  }

  async #deliver(event: StripeEvent): Promise<void> {
    const release = this.#waiting.get(event.orderId);
    const fault = this.#takeFault(event.orderId);
    if (fault?.fault === 'out-of-order')
      await new Promise<void>((resolve) => this.#waiting.set(event.orderId, resolve));
    if (fault?.fault === 'delay') await sleep(fault.delayMs, undefined, { signal: this.#closing.signal });
    if (fault?.fault === 'stale') await this.#attempt(event, { at: new Date(Date.now() - STALE_MS) });
    if (fault?.fault === 'forged') await this.#attempt(event, { secret: FORGED_SECRET });
    await this.#deliverWithRetries(event);
    if (fault?.fault === 'duplicate') await this.#attempt(event);
    if (!release) return;
    this.#waiting.delete(event.orderId);
    release();
  }

  #takeFault(orderId: string): EventFault | undefined {
    const index = this.#faults.findIndex((fault) => fault.orderId === undefined || fault.orderId === orderId);
    return index === -1 ? undefined : this.#faults.splice(index, 1)[0];
  }

  async #deliverWithRetries(event: StripeEvent): Promise<void> {
    for (let attempts = 1; !this.#closing.signal.aborted; attempts += 1) {
      const status = await this.#attempt(event);
      if (status !== undefined && status >= 200 && status < 300) {
        this.#ledger.append({ type: 'eventDelivered', at: new Date().toISOString(), eventId: event.eventId });
        return await this.#ledger.flush();
      }
      const { eventId, type, orderId } = event;
      this.#options.log.warn({ eventId, type, orderId, attempts, status }, 'the event was not accepted, will retry');
      const pause = Math.min(MAX_BACKOFF_MS, INITIAL_BACKOFF_MS * 2 ** (attempts - 1));
      await sleep(pause, undefined, { signal: this.#closing.signal });
    }
  }

  /** Records an attempt. @returns the status of the receiver, or undefined if there was no response. */
  async #attempt(event: StripeEvent, signing: Signing = {}): Promise<number | undefined> {
    const status = await this.#send(event, signing);
    const { eventId } = event;
    this.#ledger.append({ type: 'eventAttempted', at: new Date().toISOString(), eventId, status: status ?? null });
    return status;
  }

  async #send(
    { eventId, type, at: createdAt, object }: StripeEvent,
    { at = new Date(), secret = this.#options.secret! }: Signing,
  ): Promise<number | undefined> {
    await this.#ledger.flush();
    const created = Math.floor(Date.parse(createdAt) / 1_000);
    const body = JSON.stringify({ id: eventId, object: 'event', type, created, livemode: false, data: { object } });
    const timestamp = Math.floor(at.getTime() / 1_000);
    const signature = Stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp });
    try {
      const response = await fetch(this.#url!, {
        method: 'POST',
        headers: { 'content-type': 'application/json; charset=utf-8', 'stripe-signature': signature },
        body,
        redirect: 'manual',
        signal: timeoutSignal(ATTEMPT_TIMEOUT_MS, this.#closing.signal),
      });
      await response.body?.cancel().catch(() => {});
      return response.status;
    } catch {
      return undefined;
    }
  }
}
