import { z } from 'zod';

export const problem = z
  .looseObject({
    type: z
      .string()
      .meta({ description: 'What kind of problem it is; callers can rely on it.', examples: ['/problems/not-found'] }),
    title: z.string().describe('The kind in words.'),
    status: z.int().meta({ examples: [404] }),
    detail: z.string().optional().describe('What was wrong this time.'),
    requestId: z.string().describe('Names the request in our logs; also in the header `x-request-id`.'),
    errors: z
      .array(
        z.object({
          pointer: z.string().meta({
            description: 'Where: a JSON pointer (RFC 6901), empty for the whole input.',
            examples: ['/lines/0/quantity'],
          }),
          detail: z.string(),
          line: z.int().optional().describe('Of an upload, counted from one.'),
        }),
      )
      .optional()
      .describe('Each wrong field of an input that is not valid; at most 100, and one that counts the others.'),
  })
  .meta({
    id: 'Problem',
    description: 'An error: RFC 9457 problem details. Some kinds have members of their own.',
  });

export type Problem = z.infer<typeof problem>;
