import { z } from 'zod';
import { orderId } from './order.js';
import { text } from './shared/primitives.js';

/** Stripe may add fields and types without notice. Unknown fields and types are ignored. */
export const stripeEvent = z
  .object({
    id: text(255).meta({ description: 'Identifies the event. A repetition has no effect.', examples: ['evt_1001'] }),
    type: text(255).meta({
      description:
        'The API records `payment_intent.succeeded`, `charge.refunded`, `charge.dispute.created` and `charge.dispute.closed`. Other types have no effect.',
      examples: ['payment_intent.succeeded'],
    }),
    data: z.object({
      object: z.looseObject({}).describe('The PaymentIntent, charge or dispute.'),
    }),
  })
  .meta({ id: 'StripeEvent', description: 'An event of Stripe. Unknown fields are ignored.' });

export type StripeEvent = z.infer<typeof stripeEvent>;

/**
 * The metadata that links an object of Stripe to its order. Another shop with the same account may have other metadata,
 * so an invalid order id counts as none.
 */
export const orderMetadata = z.object({ orderId: orderId.optional().catch(undefined) });
