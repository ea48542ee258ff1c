/** A response of a fake: an HTTP status, a JSON body (or an HTML page, when the body is a string), and headers. */
export interface FakeResponse {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** An error response, in the one error shape that all fakes share. */
export function errorResponse(status: number, code: string, message: string): FakeResponse {
  return { status, body: { error: { code, message } } };
}

/** The error response of a proxy in front of a partner: a page without an error code. */
export function htmlErrorResponse(status: number): FakeResponse {
  return { status, body: `<html><h1>${status}</h1></html>`, headers: { 'content-type': 'text/html' } };
}

/** The response to an idempotency key that was used before with another body. */
export function idempotencyMismatchResponse(key: string): FakeResponse {
  return errorResponse(422, 'idempotency_mismatch', `Idempotency key "${key}" was used before with another body.`);
}
