import { z } from 'zod';

/**
 * Text from outside: 1 to `max` UTF-16 code units, without NUL (PostgreSQL refuses it with SQLSTATE 22021) and without
 * lone surrogates (they do not survive UTF-8).
 */
export function text(max: number) {
  return (
    z
      .string()
      .min(1)
      .max(max, { abort: true })
      // zod counts code points; workflows, which have no zod, count what `length` says.
      .refine((value) => value.length <= max, `must have at most ${max} UTF-16 code units`)
      .refine((value) => !value.includes('\0') && value.isWellFormed(), 'must not contain NUL or lone surrogates')
  );
}

/**
 * A business id. The alphabet is safe in a URL path, in a workflow id and inside quotes of a visibility query, so an id
 * never has to be escaped on its way.
 */
export const id = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'must be 1 to 64 of A-Z a-z 0-9 . _ - and start with a letter or digit');

/** The key of a product in the catalogue. */
export const sku = z
  .string()
  .regex(/^[A-Z0-9][A-Z0-9-]{0,31}$/, 'must be 1 to 32 of A-Z 0-9 - and start with a letter or digit');
