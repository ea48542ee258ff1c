/** A response of a fake external system. A string `body` is sent as an HTML page, every other value as JSON. */
export interface FakeResponse {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** Builds an error response in the format that all fakes share. */
export function errorResponse(status: number, code: string, message: string): FakeResponse {
  return { status, body: { error: { code, message } } };
}

/** Builds the error response of a proxy in front of a partner: an HTML page without an error code. */
export function htmlErrorResponse(status: number): FakeResponse {
  return { status, body: `<html><h1>${status}</h1></html>`, headers: { 'content-type': 'text/html' } };
}

/** Builds the response to a request that reuses an idempotency key with a different body. */
export function idempotencyMismatchResponse(key: string): FakeResponse {
  return errorResponse(422, 'idempotency_mismatch', `Idempotency key "${key}" was used before with another body.`);
}
