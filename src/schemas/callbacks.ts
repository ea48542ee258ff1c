import { z } from 'zod';

export const callbackResponse = z
  .object({
    status: z.enum(['accepted', 'ignored']),
    detail: z.string().optional().describe('Why the message has no effect.'),
  })
  .meta({
    id: 'CallbackResponse',
    description:
      '`accepted`: the message is stored and will be acted on. `ignored`: the message has no effect, because it came too late or has an unknown value.',
  });
