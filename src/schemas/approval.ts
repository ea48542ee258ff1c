import { z } from 'zod';
import { money } from './money.js';
import { reason, retrying } from './reason.js';
import { id, text } from './text.js';

/**
 * Limits of one approval. At all of them it sends 5 x 10 x 32 messages on two channels, of six events at most: 19,200
 * events of the 51,200 that Temporal allows. A test holds their bytes against its 50 MB.
 */
export const MAX_STAGES = 5;
export const MAX_APPROVERS = 10;
export const MAX_REMINDERS = 31;

export const MAX_DESCRIPTION = 2_000;
export const MAX_COMMENT = 1_000;

const YEAR_SECONDS = 366 * 24 * 60 * 60;
const seconds = z.int().min(1).max(YEAR_SECONDS);
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).max(1_000);

/** An approval of an order is started by the order alone. */
const ORDER_PREFIX = 'order.';

/** Long enough for an order's id with its prefix. */
export const approvalId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$/, 'must be 1 to 80 of A-Z a-z 0-9 . _ - and start with a letter or digit');

/**
 * Who may decide. People are told by e-mail and get a link; a system is told by a signed webhook, and only who has a
 * `webhookUrl` may answer by one. Somebody with neither learns of it elsewhere.
 */
export const approver = z.strictObject({
  id,
  email: z.email().max(254).optional(),
  webhookUrl: httpUrl.optional(),
});

export const stage = z
  .strictObject({
    approvers: z
      .array(approver)
      .min(1)
      .max(MAX_APPROVERS)
      .refine((approvers) => new Set(approvers.map(({ id }) => id)).size === approvers.length, 'names somebody twice'),
    /** When nobody has decided by then, the next stage is asked. */
    timeoutSeconds: seconds,
    /** Who has not decided is told again this often. Without it, nobody is reminded. */
    remindEverySeconds: seconds.optional(),
  })
  .refine(
    ({ timeoutSeconds, remindEverySeconds }) =>
      remindEverySeconds === undefined || timeoutSeconds / remindEverySeconds <= MAX_REMINDERS,
    { path: ['remindEverySeconds'], error: `makes more than ${MAX_REMINDERS} reminders` },
  );

export const approvalStages = z.array(stage).min(1).max(MAX_STAGES);

/** The input of the `approval` workflow. */
export const approvalInput = z.strictObject({
  approvalId,
  /** What is asked, in one line. */
  title: text(200),
  description: text(MAX_DESCRIPTION).optional(),
  /** Who asks; may not decide. */
  requestedBy: id,
  amount: money.optional(),
  stages: approvalStages,
  /** The outcome when the last stage's time is over. */
  onTimeout: z.enum(['timed_out', 'approved', 'rejected']).optional(),
  /** Where the outcome is reported to, as a signed webhook. */
  callbackUrl: httpUrl.optional(),
});

/** What a client may ask for. */
export const approvalRequest = approvalInput.extend({
  approvalId: approvalId
    .refine((value) => !value.startsWith(ORDER_PREFIX), `must not start with "${ORDER_PREFIX}"`)
    .optional(),
});

/** The id of the approval that an order waits for. */
export const approvalIdOfOrder = (orderId: string): string => `${ORDER_PREFIX}${orderId}`;

export const verdict = z.enum(['approve', 'reject']);

/** By which way a decision came: `cli` is whatever came to Temporal past the API. */
export const via = z.enum(['api', 'link', 'webhook', 'cli']);

/** A decision as an approver makes it. */
export const decisionRequest = z.strictObject({
  approver: id,
  decision: verdict,
  comment: text(MAX_COMMENT).optional(),
});

/** The argument of the update and signal `decide`. */
export const decision = decisionRequest.extend({
  via: via.optional(),
  /** The stage that was asked, counted from one; without it, the current one. */
  stage: z.int().min(1).max(MAX_STAGES).optional(),
});

/** What an external system sends to the callback for approvals. */
export const decisionCallback = decisionRequest.extend({
  approvalId,
  /** The stage of the question that is answered; without it, the current one. */
  stage: z.int().min(1).max(MAX_STAGES).optional(),
});

export const withdrawRequest = z.strictObject({ reason: text(500).optional() });

/** `pending` is open, the others are final. Also the Search Attribute `ApprovalStatus`. */
export const approvalStatus = z.enum(['pending', 'approved', 'rejected', 'timed_out', 'withdrawn']);

/** Something that happened, in order: who, when, how. */
const trailEntry = z.object({
  at: z.iso.datetime(),
  event: z.enum(['requested', 'escalated', 'decided', 'ignored', 'timed_out', 'withdrawn']),
  stage: z.int(),
  approver: z.string().optional(),
  decision: verdict.optional(),
  via: via.optional(),
  comment: z.string().optional(),
  reason: reason.optional(),
});

/** How far the messages to one approver of one stage have come, on one channel. */
const notification = z.object({
  stage: z.int(),
  approver: z.string(),
  channel: z.enum(['email', 'webhook']),
  /** `sending` includes being retried. */
  status: z.enum(['sending', 'sent', 'failed']),
  /** How many arrived: the question and its reminders. */
  sent: z.int(),
  lastSentAt: z.iso.datetime().optional(),
  reason: reason.optional(),
});

/** What is told of an approval: by the `approval` query, by every update, and as the workflow's result. */
export const approvalView = z.object({
  approvalId: z.string(),
  status: approvalStatus,
  title: z.string(),
  description: z.string().optional(),
  requestedBy: z.string(),
  amount: money.optional(),
  /** The stage that is asked, or was asked last, counted from one. */
  stage: z.int(),
  stages: z.int(),
  /** Who may decide now, or could at last. */
  approvers: z.array(z.string()),
  /** When the stage's time is over. */
  deadline: z.iso.datetime().optional(),
  decision: z
    .object({
      approver: z.string(),
      decision: verdict,
      comment: z.string().optional(),
      via,
      stage: z.int(),
      at: z.iso.datetime(),
    })
    .optional(),
  withdrawal: z.object({ at: z.iso.datetime(), reason: z.string().optional() }).optional(),
  trail: z.array(trailEntry),
  notifications: z.array(notification),
  /** The report to the callback URL. */
  delivery: z.object({ status: z.enum(['pending', 'delivered', 'failed']), reason: reason.optional() }).optional(),
});

/** An approval over HTTP: its view, what is being retried just now, and the execution behind it. */
export const approvalResource = approvalView.extend({
  retrying: retrying.optional(),
  workflow: z.object({ workflowId: z.string(), runId: z.string() }),
});

/** An approval in a list: what the server's visibility knows of it. */
export const approvalSummary = z.object({
  approvalId: z.string(),
  status: approvalStatus,
  startedAt: z.iso.datetime(),
  closedAt: z.iso.datetime().optional(),
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
