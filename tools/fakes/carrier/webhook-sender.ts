import { setTimeout as sleep } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { timeoutSignal } from '../../../src/async/timeout-signal.js';
import type { Ledger } from '../ledger/ledger.js';
import type { CarrierReport } from '../ledger/ledger-entries.js';

const INITIAL_BACKOFF_MS = 200;
const MAX_BACKOFF_MS = 30_000;
const ATTEMPT_TIMEOUT_MS = 10_000;
const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * The result of one attempt to deliver a webhook: the HTTP status of the receiver, or the error if no response arrived.
 */
export interface DeliveryAttempt {
  delivered: boolean;
  status?: number;
  error?: string;
}

interface WebhookSenderOptions {
  callbackUrl?: string | undefined;
  secret?: string | undefined;
  /**
   * How long the carrier retries a report while the receiver returns 404. The receiver may not know a new order yet.
   */
  unknownOrderTimeoutSeconds: number;
  log: { warn(details: object, message: string): void };
}

/**
 * Delivers the carrier's reports as Standard Webhooks. Sends the reports of one parcel in order, and retries each
 * report until the receiver returns 2xx. The ledger records the result.
 */
export class WebhookSender {
  readonly #ledger: Ledger;
  readonly #options: WebhookSenderOptions;
  readonly #signer: Webhook | undefined;
  readonly #closing = new AbortController();
  readonly #queues = new Map<string, Promise<void>>();
  readonly #queued = new Set<string>();
  #callbackUrl: string | undefined;
  #newUrl = new AbortController();

  constructor(ledger: Ledger, options: WebhookSenderOptions) {
    this.#ledger = ledger;
    this.#options = options;
    this.#signer = options.secret === undefined ? undefined : new Webhook(options.secret);
    if (options.callbackUrl !== undefined) this.setCallbackUrl(options.callbackUrl);
  }

  /** Sets the URL that receives reports, and immediately sends all reports that wait for a URL or a retry. */
  setCallbackUrl(url: string): void {
    if (!this.#signer) throw new Error('A callback URL requires a webhook secret that signs the reports.');
    this.#callbackUrl = url;
    this.#newUrl.abort();
    this.#newUrl = new AbortController();
  }

  /**
   * Queues a report after the earlier reports of the same parcel, and retries failed attempts. Ignores a report that is
   * already queued.
   */
  send(report: CarrierReport): void {
    if (this.#queued.has(report.reportId)) return;
    this.#queued.add(report.reportId);
    const earlier = this.#queues.get(report.shipmentId) ?? Promise.resolve();
    const queue = earlier
      .then(() => this.#deliverWithRetries(report))
      .catch((error: unknown) => this.#options.log.warn({ error, report }, 'a report was not delivered'))
      .finally(() => {
        this.#queued.delete(report.reportId);
        if (this.#queues.get(report.shipmentId) === queue) this.#queues.delete(report.shipmentId);
      });
    this.#queues.set(report.shipmentId, queue);
  }

  /**
   * Makes one attempt immediately, ahead of all queued reports, and returns its result. Queues a failed report for
   * retries.
   */
  async sendNow(report: CarrierReport): Promise<DeliveryAttempt> {
    const delivery = await this.#attempt(report);
    if (!delivery.delivered) this.send(report);
    return delivery;
  }

  /** Stops all deliveries. Pending reports stay pending in the ledger. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#queues.values());
  }

  async #deliverWithRetries(report: CarrierReport): Promise<void> {
    const started = Date.now();
    for (let attempts = 1; !this.#closing.signal.aborted; attempts++) {
      const newUrl = this.#newUrl.signal;
      const { delivered, status, error } = await this.#attempt(report);
      if (delivered) return;
      if (status === 404 && Date.now() - started >= this.#options.unknownOrderTimeoutSeconds * 1000) {
        return this.#recordResult(report, 'given_up');
      }
      if (this.#callbackUrl !== undefined && !this.#closing.signal.aborted) {
        const { orderId, reportId } = report;
        this.#options.log.warn(
          { orderId, reportId, attempts, status, error },
          'the report was not accepted, will retry',
        );
      }
      const pause = this.#callbackUrl === undefined ? MAX_TIMER_MS : backoffMs(attempts);
      await sleep(pause, undefined, { signal: AbortSignal.any([newUrl, this.#closing.signal]) }).catch(() => {});
    }
  }

  async #attempt({ reportId, orderId, shipmentId, status, extra }: CarrierReport): Promise<DeliveryAttempt> {
    await this.#ledger.flush();
    if (!this.#signer || this.#callbackUrl === undefined) return { delivered: false, error: 'no callback URL' };
    const body = JSON.stringify({ ...extra, orderId, shipmentId, status });
    const now = new Date();
    let response: Response;
    try {
      response = await fetch(this.#callbackUrl, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'webhook-id': reportId,
          'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
          'webhook-signature': this.#signer.sign(reportId, now, body),
        },
        body,
        redirect: 'manual',
        signal: timeoutSignal(ATTEMPT_TIMEOUT_MS, this.#closing.signal),
      });
    } catch (error) {
      const { message, cause } = error as Error;
      return { delivered: false, error: cause instanceof Error && cause.message !== '' ? cause.message : message };
    }
    await response.body?.cancel().catch(() => {});
    if (response.ok) await this.#recordResult({ reportId }, 'delivered');
    return { delivered: response.ok, status: response.status };
  }

  #recordResult({ reportId }: Pick<CarrierReport, 'reportId'>, state: 'delivered' | 'given_up'): Promise<void> {
    this.#ledger.append({ type: 'reportSettled', at: new Date().toISOString(), reportId, state });
    return this.#ledger.flush();
  }
}

function backoffMs(attempts: number): number {
  const longest = Math.min(MAX_BACKOFF_MS, INITIAL_BACKOFF_MS * 2 ** (attempts - 1));
  return longest * (0.5 + Math.random() / 2);
}
