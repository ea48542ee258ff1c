import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { MAX_COMMENT_LENGTH, type Decision } from '../../../schemas/approval.js';
import { parseJson } from '../../../http-client/responses.js';
import {
  approvalRef,
  slackAcknowledgement,
  slackComment,
  slackInteraction,
  type BlockActions,
  type ViewSubmission,
} from '../../../schemas/slack.js';
import {
  APPROVE_ACTION,
  COMMENT_ACTION,
  COMMENT_INPUT,
  DECISION_MODAL,
  REJECT_ACTION,
  type ApprovalRef,
} from '../../../slack/approval-actions.js';
import { approvalStatusAttribute, approversAttribute, decideSignal } from '../../../workflows/approval/contract.js';
import { closedRejectionOf, isSameDecision } from '../../../workflows/approval/decisions.js';
import { findApproval, type FoundApproval } from '../../approvals/read.js';
import type { AppDependencies, Backends } from '../../dependencies.js';
import { withContract } from '../../http/route-contract.js';
import { signalIfOpen } from '../signal-if-open.js';
import { decisionModal } from './modal.js';
import { hashBody, readInteraction } from './signed-interaction.js';

/** Slack shows an error to the user when the response takes longer than three seconds. */
const RESPONSE_TIMEOUT_MS = 2_700;

/** The modal must open within three seconds of the click. */
const OPEN_MODAL_TIMEOUT_MS = 2_000;

/** The user sees the answer after the response, so it may take longer. */
const ANSWER_TIMEOUT_MS = 10_000;

const VERDICTS: ReadonlyMap<string, Decision['decision']> = new Map([
  [APPROVE_ACTION, 'approve'],
  [REJECT_ACTION, 'reject'],
]);

const INVALID_COMMENT = `The comment must have at most ${MAX_COMMENT_LENGTH} characters. Your decision was not recorded.`;

type Choice = Pick<Decision, 'approver' | 'decision' | 'comment'>;

type SlackDependencies = Backends & Pick<AppDependencies, 'slack' | 'httpMetrics'>;

/** Why a click or a submission does not decide, and the text for the user. */
interface Rejection {
  reason: 'unknown_user' | 'invalid_comment' | 'approval_closed' | 'stage_passed' | 'not_an_approver';
  text: string;
}

/**
 * Receives the interactions of Slack: clicks of buttons, and submissions of the modal. The approver is the one of the
 * signed-in Slack user, not the one to whom the message was sent. A decision takes the same way as a signed webhook: the
 * API stores a signal in Temporal, and the workflow applies its rules.
 *
 * Responds 200 and not 202, because Slack requires "200 OK". A decision that does not count gets an answer that only the
 * user sees: an ephemeral message, or an error in the modal.
 */
export async function slackRoutes(app: FastifyInstance, deps: SlackDependencies): Promise<void> {
  const { slack, store, httpMetrics } = deps;
  // The signature covers the raw bytes, so the body is parsed only after the signature is verified.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/x-www-form-urlencoded', { parseAs: 'buffer' }, (_request, body, done) =>
    done(null, body),
  );

  app.post(
    '/slack',
    {
      ...withContract({
        operationId: 'receiveSlackInteraction',
        summary: 'Receive an interaction of Slack',
        description:
          'The API answers 200 once Temporal has stored the decision; no worker is needed. A repeated body has no effect. An unknown Slack user, or a decision that does not count, gets a message that only the user sees.',
        tag: 'Callbacks',
        access: 'signed',
        signature: 'slack',
        dependencies: ['temporal', 'store'],
        rawBodies: {
          'application/x-www-form-urlencoded': z.object({
            payload: z.string().describe('The interaction as JSON: `block_actions` or `view_submission`.'),
          }),
        },
      }),
      handlerTimeout: RESPONSE_TIMEOUT_MS,
      schema: { response: { 200: slackAcknowledgement } },
    },
    async (request, reply) => {
      const payload = readInteraction(slack?.signingSecrets ?? [], request);
      const interaction = slackInteraction.safeParse(payload);
      // Slack also sends interactions that the app does not ask for, such as the click of a link.
      if (!interaction.success || !slack) return reply.code(200).send();
      const { data } = interaction;
      return data.type === 'block_actions'
        ? await handleClick(request, reply, data)
        : await handleSubmission(request, reply, data);
    },
  );

  async function handleClick(request: FastifyRequest, reply: FastifyReply, click: BlockActions) {
    const { user, channel, trigger_id: triggerId, actions } = click;
    const [{ action_id: actionId, value }] = actions as [BlockActions['actions'][number]];
    const ref = approvalRef.safeParse(parseJson(value ?? ''));
    if (!ref.success) return reply.code(200).send();
    const approver = slack!.approvers.approverOf(user.id);
    const decision = VERDICTS.get(actionId);
    let problem: string | undefined;
    if (approver === undefined) problem = rejectUser(request, user.id).text;
    else if (actionId === COMMENT_ACTION) problem = await openModal(request, triggerId, ref.data);
    else if (decision) problem = (await decide(request, ref.data, { approver, decision }))?.text;
    // The answer is only a hint, so Slack does not wait for it.
    if (problem !== undefined && channel) void answer(request, { channel: channel.id, user: user.id, text: problem });
    return reply.code(200).send();
  }

  /** @returns the problem if the modal did not open. */
  async function openModal(request: FastifyRequest, triggerId: string | undefined, ref: ApprovalRef) {
    const body = { trigger_id: triggerId, view: decisionModal(ref) };
    try {
      await slack!.client.call('views.open', body, { timeoutMs: OPEN_MODAL_TIMEOUT_MS });
      return undefined;
    } catch (error) {
      request.log.warn({ err: error }, 'could not open a modal in Slack');
      return 'The form could not be opened. Click again, or decide without a comment.';
    }
  }

  async function handleSubmission(request: FastifyRequest, reply: FastifyReply, { user, view }: ViewSubmission) {
    const ref = approvalRef.safeParse(parseJson(view.private_metadata));
    if (view.callback_id !== DECISION_MODAL || !ref.success) return reply.code(200).send();
    const { decision, comment } = view.state.values;
    const approver = slack!.approvers.approverOf(user.id);
    const text = comment.comment.value?.trim() || undefined;
    let problem: Rejection | undefined;
    if (approver === undefined) problem = rejectUser(request, user.id);
    else if (text !== undefined && !slackComment.safeParse(text).success)
      problem = ignored({ reason: 'invalid_comment', text: INVALID_COMMENT });
    else {
      const choice = { approver, decision: decision.decision.selected_option.value, ...(text && { comment: text }) };
      problem = await decide(request, ref.data, choice);
    }
    if (!problem) return reply.code(200).send();
    return reply.code(200).send({ response_action: 'errors', errors: { [COMMENT_INPUT]: problem.text } });
  }

  function rejectUser(request: FastifyRequest, slackUser: string): Rejection {
    request.log.warn({ slackUser }, 'a Slack user is not in SLACK_APPROVERS');
    return ignored({
      reason: 'unknown_user',
      text: 'You cannot decide here, because your Slack user is not connected to an approver. Your decision was not recorded.',
    });
  }

  /** Stores a decision in Temporal. @returns why the decision does not count, if that is already known. */
  async function decide(
    request: FastifyRequest,
    { approvalId, firstRunId, stage }: ApprovalRef,
    choice: Choice,
  ): Promise<Rejection | undefined> {
    request.loggedFields = { params: { approvalId }, action: choice.decision };
    const found = await findApproval(deps, approvalId, firstRunId);
    const result = await signalIfOpen(found, {
      signal: decideSignal,
      argument: { ...choice, via: 'slack', stage },
      messageKey: `slack:${hashBody(request)}`,
    });
    const rejection =
      result === 'signalled'
        ? await findOpenRejection(found, { approvalId, stage, choice }).catch((error: unknown) => {
            // The decision is stored. The message shows its outcome later.
            request.log.warn({ err: error }, 'could not look up whether a decision counts');
            return undefined;
          })
        : await findClosedRejection(approvalId, choice);
    return rejection && ignored(rejection);
  }

  /**
   * Returns why the workflow, which is open, will ignore a decision. The workflow stays open after its outcome while it
   * reports the outcome. Without a worker, its stage is known only from the search attributes and the store.
   */
  async function findOpenRejection(
    { description }: Pick<FoundApproval, 'description'>,
    { approvalId, stage, choice }: { approvalId: string; stage: number; choice: Choice },
  ): Promise<Rejection | undefined> {
    const attributes = description?.typedSearchAttributes;
    const isClosed = (attributes?.get(approvalStatusAttribute) ?? 'pending') !== 'pending';
    if (isClosed) return await findClosedRejection(approvalId, choice);
    const record = await store.findApproval(approvalId);
    if (record && record.summary.stage > stage) {
      return {
        reason: 'stage_passed',
        text: `Your decision does not count, because it is for stage ${stage}, and the approval is in stage ${record.summary.stage}.`,
      };
    }
    const current = attributes?.get(approversAttribute);
    if (!current || current.includes(choice.approver)) return undefined;
    return {
      reason: 'not_an_approver',
      text: 'You are not an approver of the current stage, so your decision does not count.',
    };
  }

  /** Returns why a decision about a closed approval does not count; undefined for a repetition of the decision. */
  async function findClosedRejection(approvalId: string, choice: Choice): Promise<Rejection | undefined> {
    const view = (await store.findApproval(approvalId))?.finalView;
    if (view && isSameDecision(view.decision, choice)) return undefined;
    const { message } = view ? closedRejectionOf(view) : { message: 'the approval is already closed' };
    return { reason: 'approval_closed', text: `Your decision does not count: ${message}.` };
  }

  function ignored(rejection: Rejection): Rejection {
    httpMetrics?.countIgnoredCallback('slack', rejection.reason);
    return rejection;
  }

  async function answer(request: FastifyRequest, message: { channel: string; user: string; text: string }) {
    try {
      await slack!.client.call('chat.postEphemeral', message, { timeoutMs: ANSWER_TIMEOUT_MS });
    } catch (error) {
      request.log.warn({ err: error }, 'could not answer a Slack user');
    }
  }
}
