import { ApplicationFailure } from '@temporalio/common';
import Stripe from 'stripe';
import { rejectionFailure } from '../../../../failures/rejections.js';
import { misconfiguredFailure, unavailableFailure } from '../../../failures.js';
import { PAYMENT_GATEWAY } from '../../../payment-gateway.js';
import { retryAfterMs } from '../../external-calls.js';

const { StripeError, StripeCardError } = Stripe.errors;

/** The shortest retry delay that Stripe can set with `Retry-After`. */
const MIN_RETRY_AFTER_MS = 1_000;

/** The same key is in use by a concurrent request, or the object is locked. */
const TEMPORARY_CODES: readonly unknown[] = ['idempotency_key_in_use', 'lock_timeout', 'rate_limit'];

/** The type of an error whose body is not from Stripe. A proxy or a wrong server may have sent it. */
export const UNEXPECTED_ANSWER = 'unexpected_answer';

/**
 * Converts an error of the `stripe` package to a failure of the port. Messages of final failures contain Stripe's error
 * code but not its message, because the message may quote the request.
 */
export function toPaymentFailure(error: unknown): unknown {
  if (!(error instanceof StripeError)) return error;
  const { statusCode, code } = error;
  if (error instanceof StripeCardError) return toRejection(error);
  if (statusCode === undefined || statusCode >= 500 || statusCode === 429 || TEMPORARY_CODES.includes(code)) {
    const retryAfter = error.headers?.['retry-after'];
    const delayMs =
      statusCode === undefined
        ? undefined
        : retryAfterMs({ status: statusCode, retryAfter }, { atLeastMs: MIN_RETRY_AFTER_MS });
    const reason = statusCode === undefined ? `${error.type} (${networkReason(error)})` : `answered ${statusCode}`;
    return unavailableFailure(PAYMENT_GATEWAY, `${PAYMENT_GATEWAY}: ${reason}`, delayMs);
  }
  const description = `${code ?? error.rawType ?? error.type} (${statusCode})`;
  const isUnexpected = (error.rawType as string | undefined) === UNEXPECTED_ANSWER;
  if (isUnexpected || statusCode === 401 || statusCode === 403 || (statusCode === 404 && code === undefined))
    return misconfiguredFailure(
      PAYMENT_GATEWAY,
      `${PAYMENT_GATEWAY}: ${description}; check its URL and our credentials`,
    );
  // Stripe answers 400 for a payment method that it does not know, like for a card number that does not exist.
  if (code === 'resource_missing' && error.param === 'payment_method')
    return rejectionFailure('CardDeclined', 'the payment gateway does not know the card');
  return ApplicationFailure.nonRetryable(`${PAYMENT_GATEWAY}: ${description}`, 'RejectedByExternalSystem');
}

/** Stripe's messages for declined cards are written for customers. */
function toRejection({ decline_code: declineCode, message }: InstanceType<typeof StripeCardError>) {
  const type = declineCode === 'insufficient_funds' ? 'InsufficientFunds' : 'CardDeclined';
  return rejectionFailure(type, message);
}

/** Whether an error is the stored answer to an earlier request with the same key. */
export const isRepeatedError = (error: unknown): boolean => error instanceof StripeError && isRepeated(error.headers);

/** Whether Stripe repeats a stored error of its own. Stripe stores the first answer for a key, also an error 500. */
export const isRepeatedServerError = (error: unknown): boolean =>
  error instanceof StripeError && (error.statusCode ?? 0) >= 500 && isRepeated(error.headers);

/** Whether a successful answer is the stored answer to an earlier request with the same key. */
export const isRepeatedAnswer = ({ lastResponse }: { lastResponse: { headers: unknown } }): boolean =>
  isRepeated(lastResponse.headers);

/** The `stripe` package has the headers of an error as an object, and those of a successful answer as `Headers`. */
const isRepeated = (headers: unknown): boolean =>
  new Headers(headers as Record<string, string> | Headers | undefined).get('idempotent-replayed') === 'true';

/** Whether Stripe refused a change that the current state of a payment does not allow. */
export function isStateConflict(error: unknown): boolean {
  return (
    error instanceof StripeError &&
    ['payment_intent_unexpected_state', 'charge_already_refunded'].includes(error.code ?? '')
  );
}

/** Whether Stripe does not have the object, for example because it belongs to another account. */
export const isMissing = (error: unknown): boolean =>
  error instanceof StripeError && error.statusCode === 404 && error.code === 'resource_missing';

/** Whether Stripe can never accept a request, or `toStripeAmount` cannot express its amount. */
export function isInvalidRequest(error: unknown): boolean {
  if (error instanceof ApplicationFailure) return error.type === 'RejectedByExternalSystem';
  return error instanceof StripeError && error.statusCode === 400 && error.rawType === 'invalid_request_error';
}

function networkReason({ message, detail }: InstanceType<typeof StripeError>): string {
  const cause = detail instanceof Error ? detail.cause : undefined;
  return cause instanceof Error && cause.message ? cause.message : message;
}
