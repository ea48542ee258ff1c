import { z } from 'zod';

/**
 * A text from a client: 1 to `max` UTF-16 code units, without NUL (PostgreSQL rejects it with SQLSTATE 22021) and
 * without lone surrogates (UTF-8 cannot encode them).
 */
export function text(max: number) {
  const unfit = 'must not contain NUL or lone surrogates';
  return (
    z
      .string()
      .min(1)
      .max(max, { abort: true })
      // zod counts code points. Workflow code does not use zod and checks `length`, so this schema checks `length` too.
      .refine((value) => value.length <= max, `must have at most ${max} UTF-16 code units`)
      // eslint-disable-next-line no-control-regex -- as a pattern it is in the JSON Schema
      .regex(/^[^\u0000]*$/, { error: unfit, abort: true })
      .refine((value) => value.isWellFormed(), unfit)
  );
}

/** A business id. It needs no escaping in a URL path, in a workflow id, or inside quotes of a visibility query. */
export const businessId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ - and start with a letter or digit');

/** The longest caller id fits into a search attribute and, with an order id, into the title of an approval. */
export const MAX_CALLER_ID_LENGTH = 120;

/**
 * The id of a caller: a customer, an approver, a requester, or the owner of an API key. Allows e-mail addresses, URIs
 * and the subjects of common identity providers. It can contain `'` and `|`, so it must be escaped in URLs, HTML and
 * visibility queries.
 */
export const callerId = z
  .string()
  .regex(
    /^[A-Za-z0-9!#$%&'()*+,\-./:;=?@[\]^_{|}~]{1,120}$/,
    `must be 1 to ${MAX_CALLER_ID_LENGTH} ASCII letters, digits or !#$%&'()*+,-./:;=?@[]^_{|}~, as in ada or ada@example.com`,
  );

export const sku = z
  .string()
  .regex(/^[A-Z0-9][A-Z0-9-]{0,31}$/, 'must be 1 to 32 of A-Z 0-9 - and start with a letter or digit')
  .meta({ description: 'The key of a product in the catalogue.', examples: ['MUG-ENAMEL'] });

/** A shared component of the OpenAPI document, because the pattern has 300 characters. */
export const time = z.iso
  .datetime()
  .meta({ id: 'Time', description: 'A time in UTC, as ISO 8601.', examples: ['2026-03-01T09:30:00.000Z'] });

/** A duration in whole seconds, at least 1. */
export const durationSeconds = (max: number) => z.int().min(1).max(max);

/** An integer in a query string. Rejects '' and '1e3', which `Number` accepts. */
export function queryInteger(min: number, max: number) {
  const problem = `must be an integer from ${min} to ${max}`;
  const read = (value: unknown) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value);
  return z.preprocess(read, z.int(problem).min(min, problem).max(max, problem));
}

export const idempotencyKey = text(255).meta({
  description:
    'Identifies a request. Repeated requests with the same key are processed once and get the first response.',
  examples: ['0b1f7a52-add-mug'],
});
