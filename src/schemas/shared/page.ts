import { z } from 'zod';
import { queryInteger } from './primitives.js';

export const MAX_PAGE_SIZE = 200;

/** The query string of every list. */
export const pageQuery = z.strictObject({
  // Uses `prefault`, because the JSON Schema of the input would not contain a `default` value.
  limit: queryInteger(1, MAX_PAGE_SIZE).prefault(50).describe('Maximum number of items on the page.'),
  cursor: z
    .string()
    .max(2_000)
    .regex(/^[A-Za-z0-9_-]+$/, 'must be the nextCursor of an earlier page')
    .optional()
    .describe('The `nextCursor` of the previous page. Without it, the first page is returned.'),
});

export const pageOf = <T extends z.ZodType>(item: T) =>
  z.object({
    items: z.array(item),
    nextCursor: z.string().optional().describe('The `cursor` of the next page. Absent on the last page.'),
  });

/** Rejects query parameters on routes that have none, because they would have no effect. */
export const emptyQuery = z.strictObject({});
