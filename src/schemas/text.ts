import { z } from 'zod';

/**
 * Text from outside: 1 to `max` UTF-16 code units, without NUL (PostgreSQL refuses it with SQLSTATE 22021) and without
 * lone surrogates (they do not survive UTF-8).
 */
export function text(max: number) {
  const unfit = 'must not contain NUL or lone surrogates';
  return (
    z
      .string()
      .min(1)
      .max(max, { abort: true })
      // zod counts code points; workflows, which have no zod, count what `length` says.
      .refine((value) => value.length <= max, `must have at most ${max} UTF-16 code units`)
      // eslint-disable-next-line no-control-regex -- as a pattern it is in the JSON Schema
      .regex(/^[^\u0000]*$/, { error: unfit, abort: true })
      .refine((value) => value.isWellFormed(), unfit)
  );
}

/**
 * A business id. The alphabet is safe in a URL path, in a workflow id and inside quotes of a visibility query, so an id
 * never has to be escaped on its way.
 */
export const id = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ - and start with a letter or digit');

/** With an order's id, the longest caller id still fits into the title of an approval and into a Search Attribute. */
export const MAX_CALLER_ID = 120;

/**
 * The id of a person or system that calls: a customer, an approver, a requester, the owner of an API key. It takes
 * e-mail addresses, URIs and the subjects of common identity providers as they are. Because of `'` and `|`, escape it in
 * URLs, in HTML and in visibility queries.
 */
export const callerId = z
  .string()
  .regex(
    /^[A-Za-z0-9!#$%&'()*+,\-./:;=?@[\]^_{|}~]{1,120}$/,
    `must be 1 to ${MAX_CALLER_ID} ASCII letters, digits or !#$%&'()*+,-./:;=?@[]^_{|}~, as in ada or ada@example.com`,
  );

export const sku = z
  .string()
  .regex(/^[A-Z0-9][A-Z0-9-]{0,31}$/, 'must be 1 to 32 of A-Z 0-9 - and start with a letter or digit')
  .meta({ description: 'The key of a product in the catalogue.', examples: ['MUG-ENAMEL'] });

/** A component, because its pattern has 300 characters. */
export const time = z.iso
  .datetime()
  .meta({ id: 'Time', description: 'A time in UTC, as ISO 8601.', examples: ['2026-03-01T09:30:00.000Z'] });

/** A whole number in a query string, which has only text; other than `Number`, it takes neither '' nor '1e3'. */
export function queryInteger(min: number, max: number) {
  const problem = `must be a whole number from ${min} to ${max}`;
  const read = (value: unknown) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value);
  return z.preprocess(read, z.int(problem).min(min, problem).max(max, problem));
}

export const idempotencyKey = text(255).meta({
  description: 'Names a request: repeated under the same name, it is done once and answered as the first time.',
  examples: ['0b1f7a52-add-mug'],
});
