import { z } from 'zod';

export const callbackAnswer = z
  .object({
    status: z.enum(['accepted', 'ignored']),
    detail: z.string().optional().describe('Why it was ignored.'),
  })
  .meta({
    id: 'CallbackAnswer',
    description: '`accepted` is stored and will be acted on; `ignored` came too late and changes nothing.',
  });
