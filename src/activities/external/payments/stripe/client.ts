import { AsyncLocalStorage } from 'node:async_hooks';
import Stripe from 'stripe';
import type { z } from 'zod';
import { timeoutSignal } from '../../../../async/timeout-signal.js';
import { parseJson } from '../../../../http-client/responses.js';
import { unavailableFailure } from '../../../failures.js';
import { PAYMENT_GATEWAY } from '../../../payment-gateway.js';
import { CALL_TIMEOUT_MS } from '../../external-calls.js';
import { withHeartbeat } from '../../heartbeat.js';
import { isRepeatedServerError, toPaymentFailure, UNEXPECTED_ANSWER } from './errors.js';

/** The time limit of all calls of one activity attempt. Must be shorter than its start-to-close timeout (15 s). */
const ATTEMPT_TIMEOUT_MS = 14_000;

export interface StripeConnection {
  /** `sk_test_…`, `sk_live_…`, or a restricted key `rk_…` that may write PaymentIntents and refunds. */
  secretKey: string;
  apiUrl: string;
}

/**
 * Creates a Stripe client without retries, because Temporal repeats the whole activity with the same keys. Its calls
 * must run inside `attempt`.
 */
export function createStripeClient({ secretKey, apiUrl }: StripeConnection) {
  const attempts = new AsyncLocalStorage<AbortSignal>();
  const { protocol, hostname, port } = new URL(apiUrl);
  const isHttps = protocol === 'https:';
  const stripe = new Stripe(secretKey, {
    maxNetworkRetries: 0,
    telemetry: false,
    timeout: CALL_TIMEOUT_MS,
    protocol: isHttps ? 'https' : 'http',
    host: hostname,
    port: port || (isHttps ? 443 : 80),
    httpClient: Stripe.createFetchHttpClient(async (url: string | URL | Request, init?: RequestInit) => {
      const signals = [init?.signal, attempts.getStore()].filter((signal) => signal != null);
      // `fetch` sets the length itself. With the undici package in the process, a second one is an error.
      const headers = new Headers(init?.headers);
      headers.delete('content-length');
      const signal = AbortSignal.any(signals);
      return await withReadableError(await fetch(url, { ...init, headers, redirect: 'manual', signal }));
    }),
  });

  /** Runs the calls of one activity attempt, with heartbeats and a time limit. @throws the failures of the port. */
  async function attempt<T>(calls: () => Promise<T>): Promise<T> {
    return await withHeartbeat((cancellation) =>
      attempts.run(timeoutSignal(ATTEMPT_TIMEOUT_MS, cancellation), async () => {
        try {
          return await calls();
        } catch (error) {
          throw toPaymentFailure(error);
        }
      }),
    );
  }

  return { stripe, attempt };
}

/**
 * Returns an error response with a body that the `stripe` package can read. It reports no status for another body, such as
 * the error page of a proxy.
 */
async function withReadableError(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = await response.text();
  const body = isStripeError(text) ? text : JSON.stringify({ error: { type: UNEXPECTED_ANSWER } });
  return new Response(body, { status: response.status, headers: response.headers });
}

function isStripeError(text: string): boolean {
  const body = parseJson(text) as { error?: { type?: unknown; code?: unknown } } | null | undefined;
  return typeof (body?.error?.type ?? body?.error?.code) === 'string';
}

/** The keys that a call tries. An outage in which Stripe stores more errors than this blocks the call for 24 hours. */
const MAX_KEYS = 10;

/**
 * Makes a call with an idempotency key. Stripe stores the first response for a key and repeats it, also an error 500.
 * After a stored error, the call uses the next key, `<key>:2`, so that the order does not have to wait for 24 hours. All
 * attempts find the same key, because stored errors do not change. The next key is safe for calls that cannot take
 * effect twice: a PaymentIntent moves money at most once, and is refunded at most once.
 *
 * @param needsNextKey by default for a stored error 500. The calls of a refund pass every stored error, because a rejected
 * refund or cancellation can succeed later: the balance was too low, or the bank had not decided yet.
 */
export async function callWithKey<T>(
  key: string,
  call: (options: { idempotencyKey: string }) => Promise<T>,
  needsNextKey = isRepeatedServerError,
): Promise<T> {
  for (let n = 1; ; n += 1) {
    try {
      return await call({ idempotencyKey: n === 1 ? key : `${key}:${n}` });
    } catch (error) {
      if (!needsNextKey(error) || n === MAX_KEYS) throw error;
    }
  }
}

/** Parses an answer of Stripe, because a proxy or a wrong server can answer 200 too. */
export function parseAnswer<T extends z.ZodType>(schema: T, answer: unknown): z.infer<T> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw unavailableFailure(PAYMENT_GATEWAY, `${PAYMENT_GATEWAY}: answered with an unexpected body`);
}
