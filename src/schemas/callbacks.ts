import { z } from 'zod';
import { approvalId, decisionRequest, stageNumber, verdict } from './approval.js';
import { orderId, shipmentId, shipmentStatus } from './order.js';
import { text } from './shared/primitives.js';

/**
 * A carrier may add fields and statuses without notice. Unknown fields are dropped, and unknown statuses are recorded.
 */
export const shipmentCallback = z
  .object({
    orderId,
    shipmentId,
    status: text(100).meta({
      description: `One of ${shipmentStatus.options.join(', ')}. Any other status is recorded and has no effect.`,
      examples: ['in_transit'],
    }),
  })
  .meta({ id: 'ShipmentReport', description: 'A report of the carrier about a parcel. Unknown fields are ignored.' });

/** An external system may add fields and verdicts without notice. Unknown ones are ignored. */
export const decisionCallback = z
  .object({
    ...decisionRequest.shape,
    decision: text(100).meta({
      description: `One of ${verdict.options.join(', ')}. Any other verdict has no effect.`,
      examples: ['approve'],
    }),
    approvalId,
    stage: stageNumber.describe('The 1-based stage that the decision is for. Defaults to the current stage.'),
  })
  .meta({ id: 'DecisionCallback', description: 'The decision of an external system. Unknown fields are ignored.' });

export const callbackResponse = z
  .object({
    status: z.enum(['accepted', 'ignored']),
    detail: z.string().optional().describe('The reason why the message has no effect.'),
  })
  .meta({
    id: 'CallbackResponse',
    description:
      '`accepted`: the message is stored and will be processed. `ignored`: the message has no effect, because it arrived too late or has an unknown value.',
  });

export type ShipmentCallback = z.infer<typeof shipmentCallback>;
export type DecisionCallback = z.infer<typeof decisionCallback>;
