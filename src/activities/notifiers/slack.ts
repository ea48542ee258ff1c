import type { ApplicationFailure } from '@temporalio/common';
import { rejectionFailure } from '../../failures/rejections.js';
import type { SlackApprovers } from '../../slack/approvers.js';
import { createSlackClient, SlackError, type SlackMethod, type SlackSettings } from '../../slack/client.js';
import type { ApproverMail } from '../approver-messages.js';
import { CALL_TIMEOUT_MS, retryAfterMs } from '../external/external-calls.js';
import { withHeartbeat } from '../external/heartbeat.js';
import { misconfiguredFailure, unavailableFailure } from '../failures.js';
import type { Notifier } from './notifier.js';
import { renderReminder, renderRequest, renderState, type RequestState } from './slack-blocks.js';

/** The error codes that our token, its scopes or the app cause. A retry can succeed after an operator has acted. */
const MISCONFIGURATION_CODES: readonly string[] = [
  'invalid_auth',
  'not_authed',
  'account_inactive',
  'token_revoked',
  'token_expired',
  'missing_scope',
  'no_permission',
  'not_allowed_token_type',
  'org_login_required',
  'ekm_access_denied',
  'access_denied',
];

/** The error codes of temporary failures. */
const TEMPORARY_CODES: readonly string[] = [
  'ratelimited',
  'rate_limited',
  'message_limit_exceeded',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'team_added_to_org',
  'request_timeout',
];

/** The error codes of a message that was deleted or that Slack no longer changes. A retry cannot change this. */
const UNCHANGEABLE_CODES: readonly string[] = ['message_not_found', 'edit_window_closed', 'cant_update_message'];

/** The shortest retry delay that Slack can set with `Retry-After`. */
const MIN_RETRY_AFTER_MS = 1_000;

export interface SlackNotifier extends Notifier<ApproverMail> {
  /** Whether the approver has a Slack user. */
  knows: (approver: string) => boolean;
  /** Replaces the buttons of a request with what has happened. Idempotent. */
  showState: (request: string, state: RequestState) => Promise<void>;
}

/**
 * Sends direct messages with buttons in Slack. A reminder is a reply in the thread of the request, so that an approver
 * has one message with buttons per stage. The reply also appears in the conversation.
 *
 * `SlackRejected` is the failure for `channel_not_found` and every other error code that concerns the message or its
 * receiver. `SlackMisconfigured` means that Slack rejects our token or that the token lacks a scope.
 */
export function createSlackNotifier(settings: SlackSettings, approvers: SlackApprovers): SlackNotifier {
  const slack = createSlackClient(settings);

  /**
   * Calls Slack from an activity. The call is not cancelled with the activity: a message that Slack has posted must be
   * recorded, because otherwise its buttons stay.
   */
  async function call(
    method: SlackMethod,
    body: object,
    { ignoredCodes = [] }: { ignoredCodes?: readonly string[] } = {},
  ): Promise<Record<string, unknown>> {
    try {
      return await withHeartbeat(() => slack.call(method, body, { timeoutMs: CALL_TIMEOUT_MS }));
    } catch (error) {
      if (!(error instanceof SlackError)) throw error;
      if (error.code !== undefined && ignoredCodes.includes(error.code)) return {};
      throw toSlackFailure(error);
    }
  }

  return {
    channel: 'slack',
    knows: (approver) => approvers.userOf(approver) !== undefined,

    async send(message, { request }) {
      const user = approvers.userOf(message.approver);
      if (user === undefined) {
        throw rejectionFailure('SlackRejected', `SLACK_APPROVERS has no Slack user for ${message.approver}`);
      }
      const thread = request === undefined ? undefined : readReference(request);
      const posted = await call('chat.postMessage', {
        ...(thread
          ? { channel: thread.channel, thread_ts: thread.ts, reply_broadcast: true, ...renderReminder(message) }
          : { channel: user, ...renderRequest(message) }),
        unfurl_links: false,
        unfurl_media: false,
      });
      return toReference(posted);
    },

    async showState(request, state) {
      const update = { ...readReference(request), ...renderState(state) };
      await call('chat.update', update, { ignoredCodes: UNCHANGEABLE_CODES });
    },
  };
}

function toSlackFailure({ code, message, retryAfter }: SlackError): ApplicationFailure {
  if (code === undefined) return unavailableFailure('Slack', `Slack: ${message}`);
  if (MISCONFIGURATION_CODES.includes(code)) {
    return misconfiguredFailure('Slack', `Slack rejects us (${code}); check SLACK_BOT_TOKEN and its scopes`);
  }
  if (TEMPORARY_CODES.includes(code)) {
    const delayMs = retryAfterMs({ status: 429, retryAfter }, { atLeastMs: MIN_RETRY_AFTER_MS });
    return unavailableFailure('Slack', `Slack: ${code}`, delayMs);
  }
  return rejectionFailure('SlackRejected', `Slack rejected the message (${code})`);
}

/** Slack identifies a message by its conversation and its time, the "ts". */
function toReference({ channel, ts }: Record<string, unknown>): string | undefined {
  return typeof channel === 'string' && typeof ts === 'string' ? `${channel}:${ts}` : undefined;
}

function readReference(reference: string): { channel: string; ts: string } {
  const [channel = '', ts = ''] = reference.split(':');
  return { channel, ts };
}
