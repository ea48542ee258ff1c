import { z } from 'zod';

export const reason = z
  .object({
    type: z.string().meta({ description: 'The type of the reason. Types are stable.', examples: ['OutOfStock'] }),
    message: z.string().describe('An explanation in plain text.'),
  })
  .meta({ id: 'Reason', description: 'Why something failed or was rejected.' });

export type Reason = z.infer<typeof reason>;
