import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { request } from 'undici';
import { z } from 'zod';
import { untilAborted } from '../../async/promises.js';
import { timeoutSignal } from '../../async/timeout-signal.js';
import { networkErrorMessage, parseJson } from '../../http-client/responses.js';
import { truncateText } from '../../text/well-formed-text.js';
import { misconfiguredFailure, unavailableFailure } from '../failures.js';
import { withHeartbeat } from './heartbeat.js';

/** Time limit of a call to a partner. Must be shorter than the start-to-close timeout of the calling activities. */
export const CALL_TIMEOUT_MS = 10_000;

/** The shortest retry delay that a partner can set with `Retry-After`. */
const MIN_RETRY_AFTER_MS = 1_000;

/** 4xx statuses that are temporary. */
const TEMPORARY_STATUSES: readonly number[] = [408, 425, 429];

/**
 * 4xx statuses caused by our credentials, URL or request format. The order is not at fault, even if the body contains
 * an error code.
 */
const MISCONFIGURATION_STATUSES: readonly number[] = [401, 403, 404, 405];

const MAX_ERROR_MESSAGE_LENGTH = 300;

/**
 * The error body that partners send. A 4xx response with another body is not a rejection by the partner, because a
 * proxy or a wrong server may have sent it.
 */
const errorBody = z.object({
  error: z.object({
    code: z.string().regex(/^[\w.-]{1,64}$/),
    // Failures contain this message, so it appears in histories, database rows and pages.
    message: z
      .string()
      .transform((text) => truncateText(text.replace(/\p{Cc}/gu, ' '), MAX_ERROR_MESSAGE_LENGTH))
      .optional(),
  }),
});

export interface ExternalRead<T extends z.ZodType, Handled = never> {
  /** The name of the partner in failure types and messages. */
  system: string;
  url: string;
  responseSchema: T;
  /**
   * Maps the error code of a 4xx response to a result, or to a failure to throw. An error code without a handler
   * becomes `RejectedByExternalSystem`, which indicates a bug on our side.
   */
  rejectionHandlers?: Record<string, (message: string) => Handled>;
}

export interface ExternalCall<T extends z.ZodType, Handled = never> extends ExternalRead<T, Handled> {
  idempotencyKey: string;
  body: unknown;
}

/**
 * Calls a partner from an activity and parses the response. Sends an idempotency key and heartbeats, and applies a time
 * limit.
 *
 * @throws `<System>Unavailable` (retryable) for a lost connection, a timeout, 408, 425, 429, 5xx, or an unexpected
 * body. `Retry-After` on 429 and 503 sets the delay.
 * @throws `<System>Misconfigured` (retried slowly) for 401, 403, 404, 405, a redirect, or any other 4xx without an
 * error code.
 * @throws the failure from `rejectionHandlers`, or `RejectedByExternalSystem`, for a 4xx with an error code. Both are
 * non-retryable.
 */
export async function callExternalSystem<T extends z.ZodType, Handled = never>(
  call: ExternalCall<T, Handled>,
): Promise<z.infer<T> | Exclude<Handled, ApplicationFailure>> {
  const { idempotencyKey, body } = call;
  const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey };
  const post = { method: 'POST', headers, body: JSON.stringify(body) } as const;
  return await withHeartbeat((cancellation) => sendRequest(call, post, cancellation));
}

/** Sends a read-only request to a partner. Throws the same failures as `callExternalSystem`. */
export async function readExternalSystem<T extends z.ZodType, Handled = never>(
  read: ExternalRead<T, Handled>,
): Promise<z.infer<T> | Exclude<Handled, ApplicationFailure>> {
  return await withHeartbeat((cancellation) => sendRequest(read, { method: 'GET' }, cancellation));
}

async function sendRequest<T extends z.ZodType, Handled>(
  { system, url, responseSchema, rejectionHandlers = {} }: ExternalRead<T, Handled>,
  options: { method: 'GET' | 'POST'; headers?: Record<string, string>; body?: string },
  cancellation: AbortSignal,
): Promise<z.infer<T> | Exclude<Handled, ApplicationFailure>> {
  let status: number;
  let retryAfter: string | undefined;
  let received: unknown;
  try {
    const signal = timeoutSignal(CALL_TIMEOUT_MS, cancellation);
    // `request` takes less CPU time than `fetch`, and does not follow redirects. undici ignores the signal of a request
    // until the connection is open.
    const response = await untilAborted(request(url, { ...options, signal }), signal);
    status = response.statusCode;
    retryAfter = [response.headers['retry-after']].flat()[0];
    received = parseJson(await response.body.text());
  } catch (error) {
    throw unavailableFailure(system, `${system}: ${networkErrorMessage(error)}`);
  }

  if (status >= 500 || TEMPORARY_STATUSES.includes(status)) {
    const delayMs = retryAfterMs({ status, retryAfter }, { atLeastMs: MIN_RETRY_AFTER_MS });
    throw unavailableFailure(system, `${system}: answered ${status}`, delayMs);
  }
  if (status >= 300) {
    const rejection = status >= 400 ? errorBody.safeParse(received).data?.error : undefined;
    if (rejection && Object.hasOwn(rejectionHandlers, rejection.code)) {
      const result = rejectionHandlers[rejection.code]!(rejection.message ?? rejection.code);
      if (result instanceof ApplicationFailure) throw result;
      return result as Exclude<Handled, ApplicationFailure>;
    }
    // Omits the partner's message, because it may quote the request and failures are logged.
    const description = rejection ? `${rejection.code} (${status})` : `answered ${status} without an error code`;
    if (!rejection || MISCONFIGURATION_STATUSES.includes(status)) {
      throw misconfiguredFailure(system, `${system}: ${description}; check its URL and our credentials`);
    }
    throw ApplicationFailure.nonRetryable(`${system}: ${description}`, 'RejectedByExternalSystem');
  }
  const parsed = responseSchema.safeParse(received);
  if (!parsed.success) {
    throw unavailableFailure(system, `${system}: answered ${status} with an unexpected body`);
  }
  return parsed.data;
}

/**
 * The longest retry delay that a partner can set with `Retry-After`. Even during a long outage, the partner gets one
 * call per hour.
 */
const MAX_RETRY_AFTER_MS = 60 * 60_000;

/** Only responses with these statuses can set a delay with `Retry-After`. */
const RETRY_AFTER_STATUSES: readonly number[] = [429, 503];

/**
 * Parses the `Retry-After` header of a response (RFC 9110, section 10.2.3): seconds or an HTTP date.
 *
 * @param atLeastMs the lower limit of the delay.
 * @returns the delay in milliseconds, at most one hour, or undefined when the response sets no delay.
 */
export function retryAfterMs(
  { status, retryAfter }: { status: number; retryAfter?: string | null | undefined },
  { atLeastMs }: { atLeastMs: number },
): number | undefined {
  if (!RETRY_AFTER_STATUSES.includes(status) || !retryAfter) return undefined;
  const value = retryAfter.trim();
  let delayMs = NaN;
  if (/^\d+$/.test(value)) delayMs = Number(value) * 1_000;
  // `Date.parse` accepts almost any text, so this check requires the HTTP date format.
  else if (value.endsWith(' GMT')) delayMs = Date.parse(value) - Date.now();
  return Number.isNaN(delayMs) ? undefined : Math.min(Math.max(delayMs, atLeastMs), MAX_RETRY_AFTER_MS);
}

/** Safety margin for the duration of the call and for clock differences. */
const EXPIRY_MARGIN_MS = 10 * 60_000;

/**
 * Whether a partner may have discarded an idempotency key that was first used at `since` or later. The partner would
 * then treat a repeated call as new, so the caller must look up the earlier result first.
 *
 * Uses the local time or the time when the attempt was scheduled, whichever is later. A worker can start an attempt
 * late, and clocks can differ.
 */
export function mayKeyHaveExpired(since: Date, retentionHours: number): boolean {
  const now = Math.max(Date.now(), Context.current().info.currentAttemptScheduledTimestampMs);
  const isFresh = now - since.getTime() < retentionHours * 3_600_000 - EXPIRY_MARGIN_MS;
  return !isFresh;
}
