import type { FakeResponse } from '../calls/responses.js';

interface StripeErrorBody {
  type: 'api_error' | 'card_error' | 'idempotency_error' | 'invalid_request_error';
  message: string;
  code?: string;
  decline_code?: string;
  param?: string;
}

export const stripeError = (status: number, error: StripeErrorBody): FakeResponse => ({ status, body: { error } });

export const invalidRequest = (message: string, details: { code?: string; param?: string } = {}): FakeResponse =>
  stripeError(400, { type: 'invalid_request_error', message, ...details });

export const noSuchIntent = (id: string): FakeResponse =>
  stripeError(404, {
    type: 'invalid_request_error',
    code: 'resource_missing',
    message: `No such payment_intent: '${id}'`,
    param: 'intent',
  });

/** Marks the response as the stored response for an earlier call with the same key. */
export const replayed = (response: FakeResponse): FakeResponse => ({
  ...response,
  headers: { ...response.headers, 'idempotent-replayed': 'true' },
});

export const idempotencyError = (key: string): FakeResponse =>
  stripeError(400, {
    type: 'idempotency_error',
    message: `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
  });
