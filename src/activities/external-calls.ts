import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { timeoutSignal } from '../async/timeout-signal.js';
import { truncateText } from '../text/well-formed-text.js';
import { misconfigured, retryAfterMs, unavailable } from './retry-after.js';

/** Time limit of a call to a partner. Below the start-to-close timeout of the activities that call. */
export const CALL_TIMEOUT_MS = 10_000;

/** At most half the heartbeat timeout of the workflows. Bounds the delay until a cancellation is noticed. */
const HEARTBEAT_INTERVAL_MS = 1_000;

/** The shortest delay that a partner can set with `Retry-After`. */
const MIN_RETRY_AFTER_MS = 1_000;

/** Client errors that are temporary. */
const TEMPORARY_STATUSES: readonly number[] = [408, 425, 429];

/**
 * Client errors about our credentials, URL or request format. The order is not at fault, whatever the error code in the
 * body.
 */
const MISCONFIGURATION_STATUSES: readonly number[] = [401, 403, 404, 405];

const MAX_ERROR_MESSAGE_LENGTH = 300;

/**
 * The agreed error body. Only this body is a rejection by the partner; a proxy or another server sends a different
 * body.
 */
const errorBody = z.object({
  error: z.object({
    code: z.string().regex(/^[\w.-]{1,64}$/),
    // The message becomes part of failures, and thus of histories, database rows and pages.
    message: z
      .string()
      .transform((text) => truncateText(text.replace(/\p{Cc}/gu, ' '), MAX_ERROR_MESSAGE_LENGTH))
      .optional(),
  }),
});

export interface ExternalRead<T extends z.ZodType, Known = never> {
  /** The name of the partner, for failure types and messages. */
  system: string;
  url: string;
  responseSchema: T;
  /**
   * Maps an error code of a rejection (4xx) to a result, or to a failure to throw. A code that is missing here becomes
   * `RejectedByExternalSystem`, a bug on our side.
   */
  rejectionHandlers?: Record<string, (message: string) => Known>;
}

export interface ExternalCall<T extends z.ZodType, Known = never> extends ExternalRead<T, Known> {
  idempotencyKey: string;
  body: unknown;
}

/**
 * Calls a partner from an activity, with an idempotency key, a time limit and heartbeats. Parses the response.
 *
 * @throws `<System>Unavailable`, retried: a lost connection, a timeout, 408, 425, 429, 5xx, or an unexpected body.
 * `Retry-After` on 429 and 503 sets the delay.
 * @throws `<System>Misconfigured`, retried slowly: 401, 403, 404, 405, a redirect, or any other 4xx without an error
 * code.
 * @throws the failure from `refusals`, or `RejectedByExternalSystem`, both non-retryable: a 4xx with an error code.
 */
export async function callExternalSystem<T extends z.ZodType, Known = never>(
  call: ExternalCall<T, Known>,
): Promise<z.infer<T> | Exclude<Known, ApplicationFailure>> {
  const { idempotencyKey, body } = call;
  const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey };
  const request = { method: 'POST', headers, body: JSON.stringify(body) };
  return await withHeartbeat((cancellation) => sendRequest(call, request, cancellation));
}

/** Sends a read-only request to a partner. Otherwise like `callOutside`. */
export async function readExternalSystem<T extends z.ZodType, Known = never>(
  question: ExternalRead<T, Known>,
): Promise<z.infer<T> | Exclude<Known, ApplicationFailure>> {
  return await withHeartbeat((cancellation) => sendRequest(question, { method: 'GET' }, cancellation));
}

/**
 * Sends heartbeats while an activity waits, so that it notices a cancellation. Each heartbeat carries the result of
 * `progress`.
 *
 * @throws the cancellation if there was one, whatever error `wait` throws.
 */
export async function withHeartbeat<T>(
  wait: (cancellation: AbortSignal) => Promise<T>,
  progress?: () => unknown,
): Promise<T> {
  const context = Context.current();
  const heart = setInterval(() => context.heartbeat(progress?.()), HEARTBEAT_INTERVAL_MS);
  try {
    return await wait(context.cancellationSignal);
  } catch (error) {
    throw context.cancellationSignal.aborted ? context.cancellationSignal.reason : error;
  } finally {
    clearInterval(heart);
  }
}

async function sendRequest<T extends z.ZodType, Known>(
  { system, url, responseSchema, rejectionHandlers = {} }: ExternalRead<T, Known>,
  request: RequestInit,
  cancellation: AbortSignal,
): Promise<z.infer<T> | Exclude<Known, ApplicationFailure>> {
  let status: number;
  let retryAfter: string | null;
  let received: unknown;
  try {
    const response = await fetch(url, {
      ...request,
      redirect: 'manual',
      signal: timeoutSignal(CALL_TIMEOUT_MS, cancellation),
    });
    status = response.status;
    retryAfter = response.headers.get('retry-after');
    received = parseJson(await response.text());
  } catch (error) {
    throw unavailable(system, `${system}: ${networkErrorMessage(error)}`);
  }

  if (status >= 500 || TEMPORARY_STATUSES.includes(status)) {
    const delayMs = retryAfterMs({ status, retryAfter }, { atLeastMs: MIN_RETRY_AFTER_MS });
    throw unavailable(system, `${system}: answered ${status}`, delayMs);
  }
  if (status >= 300) {
    const refusal = status >= 400 ? errorBody.safeParse(received).data?.error : undefined;
    if (refusal && Object.hasOwn(rejectionHandlers, refusal.code)) {
      const known = rejectionHandlers[refusal.code]!(refusal.message ?? refusal.code);
      if (known instanceof ApplicationFailure) throw known;
      return known as Exclude<Known, ApplicationFailure>;
    }
    // Omits the message, because it may quote the request, and failures are logged.
    const what = refusal ? `${refusal.code} (${status})` : `answered ${status} without an error code`;
    if (!refusal || MISCONFIGURATION_STATUSES.includes(status)) {
      throw misconfigured(system, `${system}: ${what}; check its URL and our credentials`);
    }
    throw ApplicationFailure.nonRetryable(`${system}: ${what}`, 'RejectedByExternalSystem');
  }
  const parsed = responseSchema.safeParse(received);
  if (!parsed.success) {
    throw unavailable(system, `${system}: answered ${status} with a body that is not the agreed one`);
  }
  return parsed.data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `fetch` hides the reason behind "fetch failed". */
function networkErrorMessage(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message ? cause.message : message;
}
