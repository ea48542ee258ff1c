import { z } from 'zod';
import { approvalId, approverId, MAX_COMMENT_LENGTH, MAX_STAGES, verdict } from './approval.js';
import { text } from './shared/primitives.js';

const SLACK_ID = /^[A-Z0-9]{2,30}$/;

/** The approver ids by Slack user id. */
export const slackApprovers = z
  .record(z.string(), approverId)
  .refine((table) => Object.keys(table).length > 0, 'must contain a Slack user')
  .refine(
    (table) => Object.keys(table).every((id) => SLACK_ID.test(id)),
    'must have ids of Slack users, such as U012AB3CD',
  )
  .refine(
    (table) => new Set(Object.values(table)).size === Object.keys(table).length,
    'must not contain an approver twice',
  );

/** The value that a button and the modal return. */
export const approvalRef = z.object({
  approvalId,
  firstRunId: z.string().min(1).max(100),
  stage: z.int().min(1).max(MAX_STAGES),
});

const user = z.object({ id: z.string().min(1).max(100) });

const blockActions = z.object({
  type: z.literal('block_actions'),
  user,
  trigger_id: z.string().max(500).optional(),
  channel: z.object({ id: z.string().max(100) }).optional(),
  actions: z.array(z.object({ action_id: z.string().max(255), value: z.string().max(2_000).optional() })).min(1),
});

/**
 * The inputs of the modal. Slack sends a missing text as null. The route checks the comment with `slackComment`, so that
 * the modal shows an error.
 */
const decisionInputs = z.object({
  decision: z.object({ decision: z.object({ selected_option: z.object({ value: verdict }) }) }),
  comment: z.object({ comment: z.object({ value: z.string().nullish() }) }),
});

/** A comment that is stored with a decision. */
export const slackComment = text(MAX_COMMENT_LENGTH);

const viewSubmission = z.object({
  type: z.literal('view_submission'),
  user,
  view: z.object({
    callback_id: z.string().max(255),
    private_metadata: z.string().max(3_000),
    state: z.object({ values: decisionInputs }),
  }),
});

/** The interactions of Slack that the app asks for. Slack adds fields without notice. Unknown fields are ignored. */
export const slackInteraction = z.discriminatedUnion('type', [blockActions, viewSubmission]).meta({
  id: 'SlackInteraction',
  description: 'A click of a button, or the submission of the modal. Unknown fields are ignored.',
});

/** The body of a 200 to Slack. It is empty, unless the modal shows an error. */
export const slackAcknowledgement = z
  .object({
    response_action: z.literal('errors').optional(),
    errors: z.record(z.string(), z.string()).optional().describe('The error by input of the modal.'),
  })
  .meta({
    id: 'SlackAcknowledgement',
    description: 'The interaction is handled. The body is empty, unless the modal shows an error.',
  });

export type BlockActions = z.infer<typeof blockActions>;
export type ViewSubmission = z.infer<typeof viewSubmission>;
