/** What a provider answers: an HTTP status and a JSON body. */
export interface Answer {
  status: number;
  body: unknown;
}

/** An answer that says no, in the one error shape that all providers share. */
export function refused(status: number, code: string, message: string): Answer {
  return { status, body: { error: { code, message } } };
}

/** The answer to an idempotency key that was used before with another body. */
export function idempotencyMismatch(key: string): Answer {
  return refused(422, 'idempotency_mismatch', `Idempotency key "${key}" was used before with another body.`);
}
