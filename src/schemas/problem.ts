import { z } from 'zod';

/** An error over HTTP: RFC 9457 problem details. `errors` names each wrong field by its JSON pointer. */
export const problem = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string().optional(),
  requestId: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
});

export type Problem = z.infer<typeof problem>;
