import { z } from 'zod';
import { email } from './shared/email.js';
import { execution, retrying, waiting } from './shared/execution.js';
import { money } from './shared/money.js';
import { pageOf } from './shared/page.js';
import { reason } from './shared/reason.js';
import { callerId, text, time, durationSeconds } from './shared/primitives.js';

/**
 * The limits of one approval. At all limits, it sends 5 x 10 x 32 messages on three channels, with at most six events
 * each. These are 28,800 of the 51,200 events that Temporal allows. A test compares their bytes with the limit of 50
 * MB.
 */
export const MAX_STAGES = 5;
export const MAX_APPROVERS = 10;
export const MAX_REMINDERS = 31;

export const MAX_DESCRIPTION_LENGTH = 2_000;
export const MAX_COMMENT_LENGTH = 1_000;

/** 366 days, so that a leap year fits. */
const seconds = durationSeconds(366 * 24 * 60 * 60);
const httpUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
  .max(1_000)
  .meta({ examples: ['https://hooks.example.com/approvals'] });

/** The outcomes of an approval whose last stage timed out. */
const timeoutOutcome = z.enum(['timed_out', 'approved', 'rejected']);

/** The prefix of the approval ids of orders. Only an order can start such an approval. */
const ORDER_PREFIX = 'order.';

/**
 * An approval id can be longer than an order id, because the approval id of an order consists of a prefix and the order
 * id.
 */
export const approvalId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/, 'must be 1 to 80 of A-Z a-z 0-9 . _ - and start with a letter or digit')
  .meta({ description: 'The id of an approval.', examples: ['new-roaster'] });

export const approverId = callerId.meta({ description: 'The id of an approver.', examples: ['grace'] });
export const stageNumber = z.int().min(1).max(MAX_STAGES).optional();

export const approver = z
  .strictObject({
    id: approverId,
    email: email.optional(),
    webhookUrl: httpUrl.optional(),
  })
  .meta({
    id: 'Approver',
    description:
      'Someone who can decide. A person gets an e-mail with a link, and a system gets a signed webhook. Only an approver with a `webhookUrl` can decide by webhook. An approver with neither address is notified only if the configuration contains their Slack user.',
  });

export const stage = z
  .strictObject({
    approvers: z
      .array(approver)
      .min(1)
      .max(MAX_APPROVERS)
      .refine(
        (approvers) => new Set(approvers.map(({ id }) => id)).size === approvers.length,
        'must not contain an approver twice',
      )
      .describe('The approvers of the stage. Their ids are unique.'),
    timeoutSeconds: seconds.meta({
      description: 'How long the stage waits for a decision before the approval escalates to the next stage.',
      examples: [86_400],
    }),
    remindEverySeconds: seconds
      .optional()
      .describe(
        `The interval between reminders to the approvers of the stage. At most ${MAX_REMINDERS} reminders are sent. Without an interval, no reminders are sent.`,
      ),
  })
  .refine(
    ({ timeoutSeconds, remindEverySeconds }) =>
      remindEverySeconds === undefined || timeoutSeconds / remindEverySeconds <= MAX_REMINDERS,
    { path: ['remindEverySeconds'], error: `must allow at most ${MAX_REMINDERS} reminders within timeoutSeconds` },
  )
  .meta({
    id: 'Stage',
    description:
      'The approvers of the stage, who are all notified at once, and the time limit. The first decision is effective.',
  });

export const approvalStages = z
  .array(stage)
  .min(1)
  .max(MAX_STAGES)
  .describe('The stages in order. A stage starts when the previous stage times out.');

const approvalFields = {
  approvalId,
  title: text(200).meta({ description: 'The title: the question in one line.', examples: ['Buy a new roaster?'] }),
  description: text(MAX_DESCRIPTION_LENGTH).optional(),
  requestedBy: callerId.meta({ description: 'The requester, who cannot decide.', examples: ['ada'] }),
  amount: money.optional(),
  stages: approvalStages,
  onTimeout: timeoutOutcome.optional().describe('The outcome when the last stage times out. Defaults to `timed_out`.'),
  callbackUrl: httpUrl.optional().describe('Receives the outcome as a signed webhook.'),
};

/** Whether an approver other than the requester exists. Requesters cannot decide their own request. */
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
        `A repeated request with the same id and content returns the existing approval. Defaults to a new id. Must not start with "${ORDER_PREFIX}".`,
      ),
  })
  .refine(hasEligibleApprover, eligibleApproverRule)
  .meta({ id: 'ApprovalRequest', description: 'A request for an approval.' });

/** Returns the id of the approval of an order. */
export const approvalIdOfOrder = (orderId: string): string => `${ORDER_PREFIX}${orderId}`;

/** Returns the order to which an approval belongs; undefined for an approval that no order requested. */
export const orderIdOfApproval = (approvalId: string): string | undefined =>
  approvalId.startsWith(ORDER_PREFIX) ? approvalId.slice(ORDER_PREFIX.length) : undefined;

export const verdict = z
  .enum(['approve', 'reject'])
  .meta({ id: 'Verdict', description: 'The verdict of an approver.' });

export const via = z.enum(['api', 'link', 'webhook', 'slack', 'cli']).meta({
  id: 'Via',
  description: 'How a decision was submitted. `cli` stands for every way that bypasses the API.',
});

export const decisionRequest = z
  .strictObject({ approver: approverId, decision: verdict, comment: text(MAX_COMMENT_LENGTH).optional() })
  .meta({ id: 'DecisionRequest', description: 'The decision of an approver.' });

/** The argument of the update and signal `decide`. */
export const decision = decisionRequest.extend({
  via: via.optional(),
  /** The 1-based stage to which the decision applies. Default: the current stage. */
  stage: stageNumber,
});

export const withdrawRequest = z
  .strictObject({ reason: text(500).optional() })
  .meta({ id: 'WithdrawRequest', description: 'The reason why an approval is withdrawn.' });

/** The status is also the search attribute `ApprovalStatus`. */
export const approvalStatus = z
  .enum(['pending', 'approved', 'rejected', 'timed_out', 'withdrawn'])
  .meta({ id: 'ApprovalStatus', description: '`pending` is open; the other statuses are final.' });

const trailEntry = z
  .object({
    at: time,
    event: z
      .enum(['requested', 'skipped', 'escalated', 'decided', 'commented', 'ignored', 'timed_out', 'withdrawn'])
      .describe(
        '`skipped`: only the requester could decide the stage. `commented`: the same decision was repeated with another comment.',
      ),
    stage: z.int(),
    approver: z.string().optional(),
    decision: verdict.optional(),
    via: via.optional(),
    comment: z.string().optional(),
    reason: reason.optional(),
  })
  .meta({ id: 'TrailEntry', description: 'An event of an approval.' });

const notification = z
  .object({
    stage: z.int(),
    approver: z.string(),
    channel: z.enum(['email', 'webhook', 'slack']),
    status: z.enum(['sending', 'sent', 'failed']).describe('`sending` includes retries.'),
    sentCount: z.int().describe('The number of delivered messages: the request and its reminders.'),
    lastSentAt: time.optional(),
    reason: reason.optional(),
  })
  .meta({
    id: 'Notification',
    description: 'The messages to one approver of one stage on one channel, and their delivery status.',
  });

const ifUndecided = z
  .union([
    z.object({ nextApprovers: z.array(z.string()).describe('The ids of the approvers of the next stage.') }),
    z.object({ outcome: timeoutOutcome }),
  ])
  .meta({
    id: 'IfUndecided',
    description:
      'What happens at the deadline if nobody decides: the approvers of the next stage are asked, or the approval closes with the outcome.',
  });

/** The result of the `approval` query, of every update and of the workflow. */
export const approvalView = z.object({
  approvalId: z.string(),
  status: approvalStatus,
  title: z.string(),
  description: z.string().optional(),
  requestedBy: z.string(),
  amount: money.optional(),
  stage: z.int().describe('The current stage, or the last stage of a closed approval. Counted from 1.'),
  stages: z.int().describe('Number of stages.'),
  approvers: z
    .array(z.string())
    .describe('The ids of the approvers of the current or last stage, without the requester.'),
  deadline: time.optional().describe('When the current stage times out.'),
  ifUndecided: ifUndecided
    .optional()
    .describe('What happens at the deadline if nobody decides. Absent once the approval is closed.'),
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
  trail: z.array(trailEntry).describe('The events of the approval, oldest first.'),
  notifications: z.array(notification),
  callbackDelivery: z
    .object({
      status: z.enum(['pending', 'delivered', 'failed']),
      reason: reason.optional(),
      activityId: z
        .string()
        .optional()
        .describe('The id of the standalone activity that reports the outcome, if the Temporal server offers them.'),
    })
    .optional()
    .describe('The delivery of the outcome to the callback URL.'),
});

export const approvalResource = approvalView
  .extend({
    retrying: retrying.optional(),
    waiting: waiting.optional(),
    workflow: execution.optional().describe('Absent once Temporal no longer keeps the execution.'),
  })
  .meta({
    id: 'Approval',
    description: 'An approval with its progress, its pending retries and its workflow execution.',
  });

export const approvalAccepted = z.object({ approvalId: z.string(), status: approvalStatus }).meta({
  id: 'ApprovalAccepted',
  description: 'The request was accepted. The `location` header is the URL of the approval.',
});

export const approvalSummary = z
  .object({
    approvalId: z.string(),
    status: approvalStatus,
    title: z.string(),
    requestedBy: z.string(),
    amount: money.optional(),
    stage: z.int().describe('The current stage, or the last stage of a closed approval. Counted from 1.'),
    stages: z.int().describe('Number of stages.'),
    approvers: z
      .array(z.string())
      .describe('The ids of the approvers who can decide now. Empty once the approval is closed.'),
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
export type WithdrawRequest = z.infer<typeof withdrawRequest>;
export type ApprovalStatus = z.infer<typeof approvalStatus>;
export type ApprovalView = z.infer<typeof approvalView>;
export type IfUndecided = z.infer<typeof ifUndecided>;
export type TrailEntry = ApprovalView['trail'][number];
export type Notification = ApprovalView['notifications'][number];
export type ApprovalResource = z.infer<typeof approvalResource>;
export type ApprovalSummary = z.infer<typeof approvalSummary>;
