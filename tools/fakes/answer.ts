/** A provider's response: an HTTP status, a JSON body (or an HTML page, when the body is a string), and headers. */
export interface Answer {
  status: number;
  body: unknown;
  headers?: Record<string, string>;
}

/** An error response, in the one error shape that all providers share. */
export function refused(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}

/** The error response of a proxy in front of a provider: a page without an error code. */
export function errorPage(status: number): Answer {
  return { status, body: `<html><h1>${status}</h1></html>`, headers: { 'content-type': 'text/html' } };
}

/** The response to an idempotency key that was used before with another body. */
export function idempotencyMismatch(key: string): Answer {
  return refused(422, 'idempotency_mismatch', `Idempotency key "${key}" was used before with another body.`);
}
