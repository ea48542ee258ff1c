import { z } from 'zod';
import { email } from './shared/email.js';
import { execution } from './shared/execution.js';
import { money } from './shared/money.js';
import { pageOf } from './shared/page.js';
import { reason, retrying, waiting } from './shared/reason.js';
import { callerId, text, time } from './shared/primitives.js';

/**
 * Limits of one approval. At the maximum it sends 5 x 10 x 32 messages on two channels, with at most six events each:
 * 19,200 of the 51,200 events that Temporal allows. A test compares their bytes with the limit of 50 MB.
 */
export const MAX_STAGES = 5;
export const MAX_APPROVERS = 10;
export const MAX_REMINDERS = 31;

export const MAX_DESCRIPTION_LENGTH = 2_000;
export const MAX_COMMENT_LENGTH = 1_000;

const MAX_STAGE_TIMEOUT_SECONDS = 366 * 24 * 60 * 60;
const seconds = z.int().min(1).max(MAX_STAGE_TIMEOUT_SECONDS);
const httpUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .max(1_000)
  .meta({ examples: ['https://hooks.example.com/approvals'] });

/** Only an order can start the approval of an order. */
const ORDER_PREFIX = 'order.';

/** Long enough for an order id with its prefix. */
export const approvalId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/, 'must be 1 to 80 of A-Z a-z 0-9 . _ - and start with a letter or digit')
  .meta({ description: 'The id of an approval.', examples: ['new-roaster'] });

export const approverId = callerId.meta({ description: 'The id of an approver.', examples: ['grace'] });
const stageNumber = z.int().min(1).max(MAX_STAGES).optional();

export const approver = z
  .strictObject({
    id: approverId,
    email: email.optional(),
    webhookUrl: httpUrl.optional(),
  })
  .meta({
    id: 'Approver',
    description:
      'Who may decide. People are told by e-mail and get a link; a system is told by a signed webhook, and only who has a `webhookUrl` may answer by one. Somebody with neither learns of it elsewhere.',
  });

export const stage = z
  .strictObject({
    approvers: z
      .array(approver)
      .min(1)
      .max(MAX_APPROVERS)
      .refine((approvers) => new Set(approvers.map(({ id }) => id)).size === approvers.length, 'names somebody twice')
      .describe('Each with an id of its own.'),
    timeoutSeconds: seconds.meta({
      description: 'When nobody has decided by then, the next stage is asked.',
      examples: [86_400],
    }),
    remindEverySeconds: seconds
      .optional()
      .describe(
        `Who has not decided is told again this often, at most ${MAX_REMINDERS} times. Without it, nobody is reminded.`,
      ),
  })
  .refine(
    ({ timeoutSeconds, remindEverySeconds }) =>
      remindEverySeconds === undefined || timeoutSeconds / remindEverySeconds <= MAX_REMINDERS,
    { path: ['remindEverySeconds'], error: `makes more than ${MAX_REMINDERS} reminders` },
  )
  .meta({ id: 'Stage', description: 'Who is asked at the same time, and for how long; the first decision counts.' });

export const approvalStages = z
  .array(stage)
  .min(1)
  .max(MAX_STAGES)
  .describe('Asked one after the other, each when the time of the one before is over.');

const approvalFields = {
  approvalId,
  title: text(200).meta({ description: 'What is asked, in one line.', examples: ['Buy a new roaster?'] }),
  description: text(MAX_DESCRIPTION_LENGTH).optional(),
  requestedBy: callerId.meta({ description: 'The requester, who cannot decide.', examples: ['ada'] }),
  amount: money.optional(),
  stages: approvalStages,
  onTimeout: z
    .enum(['timed_out', 'approved', 'rejected'])
    .optional()
    .describe('The outcome when the last stage times out; defaults to `timed_out`.'),
  callbackUrl: httpUrl.optional().describe('Where the outcome is reported to, as a signed webhook.'),
};

/** Whether anyone except the requester can decide. Requesters cannot decide their own request. */
export const hasEligibleApprover = ({ requestedBy, stages }: { requestedBy: string; stages: Stage[] }): boolean => {
  const approvers = stages.flatMap((stage) => stage.approvers);
  return approvers.length === 0 || approvers.some(({ id }) => id !== requestedBy);
};

const eligibleApproverRule = {
  path: ['stages'],
  error: 'must name an approver other than the requester, who cannot decide their own request',
};

/** The input of the `approval` workflow. */
export const approvalInput = z.strictObject(approvalFields).refine(hasEligibleApprover, eligibleApproverRule);

export const approvalRequest = z
  .strictObject({
    ...approvalFields,
    approvalId: approvalId
      .refine((value) => !value.startsWith(ORDER_PREFIX), `must not start with "${ORDER_PREFIX}"`)
      .optional()
      .describe(
        `The same id and content name the same approval. Defaults to a new id; must not start with "${ORDER_PREFIX}".`,
      ),
  })
  .refine(hasEligibleApprover, eligibleApproverRule)
  .meta({ id: 'ApprovalRequest', description: 'A question, and who decides.' });

/** The id of the approval of an order. */
export const approvalIdOfOrder = (orderId: string): string => `${ORDER_PREFIX}${orderId}`;

export const verdict = z.enum(['approve', 'reject']).meta({ id: 'Verdict', description: 'How somebody decides.' });

export const via = z.enum(['api', 'link', 'webhook', 'cli']).meta({
  id: 'Via',
  description: 'By which way a decision came: `cli` is whatever came to Temporal past the API.',
});

export const decisionRequest = z
  .strictObject({ approver: approverId, decision: verdict, comment: text(MAX_COMMENT_LENGTH).optional() })
  .meta({ id: 'DecisionRequest', description: 'A decision as an approver makes it.' });

/** The argument of the update and signal `decide`. */
export const decision = decisionRequest.extend({
  via: via.optional(),
  /** The 1-based stage of the decision; the current one by default. */
  stage: stageNumber,
});

/** An external system may add fields and verdicts without notice, so unknown ones are ignored. */
export const decisionCallback = z
  .object({
    ...decisionRequest.shape,
    decision: text(100).meta({
      description: `One of ${verdict.options.join(', ')}. Any other verdict has no effect.`,
      examples: ['approve'],
    }),
    approvalId,
    stage: stageNumber.describe('The stage that is decided, counted from one; by default the current one.'),
  })
  .meta({ id: 'DecisionCallback', description: 'The decision of an external system. Unknown fields are ignored.' });

export const withdrawRequest = z
  .strictObject({ reason: text(500).optional() })
  .meta({ id: 'WithdrawRequest', description: 'Why an approval is withdrawn.' });

/** Also the search attribute `ApprovalStatus`. */
export const approvalStatus = z
  .enum(['pending', 'approved', 'rejected', 'timed_out', 'withdrawn'])
  .meta({ id: 'ApprovalStatus', description: '`pending` is open, the others are final.' });

const trailEntry = z
  .object({
    at: time,
    event: z
      .enum(['requested', 'skipped', 'escalated', 'decided', 'commented', 'ignored', 'timed_out', 'withdrawn'])
      .describe(
        '`skipped` is a stage that only the requester could decide; `commented` is the same decision again with another comment.',
      ),
    stage: z.int(),
    approver: z.string().optional(),
    decision: verdict.optional(),
    via: via.optional(),
    comment: z.string().optional(),
    reason: reason.optional(),
  })
  .meta({ id: 'TrailEntry', description: 'Something that happened to an approval: who, when, how.' });

const notification = z
  .object({
    stage: z.int(),
    approver: z.string(),
    channel: z.enum(['email', 'webhook']),
    status: z.enum(['sending', 'sent', 'failed']).describe('`sending` includes being retried.'),
    sentCount: z.int().describe('How many arrived: the question and its reminders.'),
    lastSentAt: time.optional(),
    reason: reason.optional(),
  })
  .meta({
    id: 'Notification',
    description: 'How far the messages to one approver of one stage have come, on one channel.',
  });

/** Returned by the `approval` query, by every update, and as the workflow's result. */
export const approvalView = z.object({
  approvalId: z.string(),
  status: approvalStatus,
  title: z.string(),
  description: z.string().optional(),
  requestedBy: z.string(),
  amount: money.optional(),
  stage: z.int().describe('The stage that is asked, or was asked last, counted from one.'),
  stages: z.int().describe('How many there are.'),
  approvers: z.array(z.string()).describe('Who may decide now, or could decide last; never the requester.'),
  deadline: time.optional().describe("When the stage's time is over."),
  decision: z
    .object({
      approver: z.string(),
      decision: verdict,
      comment: z.string().optional(),
      via,
      stage: z.int(),
      at: time,
    })
    .optional(),
  withdrawal: z.object({ at: time, reason: z.string().optional() }).optional(),
  trail: z.array(trailEntry).describe('What happened, in order.'),
  notifications: z.array(notification),
  callbackDelivery: z
    .object({ status: z.enum(['pending', 'delivered', 'failed']), reason: reason.optional() })
    .optional()
    .describe('The report to the callback URL.'),
});

export const approvalResource = approvalView
  .extend({
    retrying: retrying.optional(),
    waiting: waiting.optional(),
    workflow: execution.optional().describe('Absent once Temporal no longer keeps the execution.'),
  })
  .meta({
    id: 'Approval',
    description: 'An approval: how far it has come, what is being retried just now, and the execution behind it.',
  });

export const approvalAccepted = z
  .object({ approvalId: z.string(), status: approvalStatus })
  .meta({ id: 'ApprovalAccepted', description: 'The request was taken; its `location` tells what becomes of it.' });

export const approvalSummary = z
  .object({
    approvalId: z.string(),
    status: approvalStatus,
    title: z.string(),
    requestedBy: z.string(),
    amount: money.optional(),
    stage: z.int().describe('The stage that is asked, or was asked last, counted from one.'),
    stages: z.int().describe('How many stages there are.'),
    approvers: z.array(z.string()).describe('Who may decide now; empty once the approval is closed.'),
    deadline: time.optional().describe('When the current stage times out.'),
    startedAt: time,
    closedAt: time.optional(),
  })
  .meta({ id: 'ApprovalSummary', description: 'An approval in a list.' });

export const approvalList = pageOf(approvalSummary).meta({
  id: 'ApprovalList',
  description: 'A page of approvals, newest first. Pages never repeat or skip an approval while approvals close.',
});

export type Approver = z.infer<typeof approver>;
export type Stage = z.infer<typeof stage>;
export type ApprovalInput = z.infer<typeof approvalInput>;
export type Decision = z.infer<typeof decision>;
export type DecisionCallback = z.infer<typeof decisionCallback>;
export type WithdrawRequest = z.infer<typeof withdrawRequest>;
export type ApprovalStatus = z.infer<typeof approvalStatus>;
export type ApprovalView = z.infer<typeof approvalView>;
export type TrailEntry = ApprovalView['trail'][number];
export type Notification = ApprovalView['notifications'][number];
export type ApprovalResource = z.infer<typeof approvalResource>;
export type ApprovalSummary = z.infer<typeof approvalSummary>;
