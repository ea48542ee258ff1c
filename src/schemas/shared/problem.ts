import { z } from 'zod';

export const problem = z
  .looseObject({
    type: z
      .string()
      .meta({ description: 'The type of the problem. Types are stable.', examples: ['/problems/not-found'] }),
    title: z.string().describe('A short text for the problem type.'),
    status: z.int().meta({ examples: [404] }),
    detail: z.string().optional().describe('The details of this error.'),
    requestId: z.string().describe('The id of the request in the logs. It is also in the `x-request-id` header.'),
    errors: z
      .array(
        z.object({
          pointer: z.string().meta({
            description: 'The location as a JSON pointer (RFC 6901). Empty for the whole input.',
            examples: ['/lines/0/quantity'],
          }),
          detail: z.string(),
          line: z.int().optional().describe('The 1-based line of an upload.'),
        }),
      )
      .optional()
      .describe('The invalid fields of the input. At most 100, plus an entry with the number of further problems.'),
  })
  .meta({
    id: 'Problem',
    description: 'An error as RFC 9457 problem details. Some types have additional members.',
  });

export type Problem = z.infer<typeof problem>;
