import type { Notification } from '../../schemas/approval.js';
import type { ApproverMessage } from '../approver-messages.js';

export interface SendOptions {
  /** All attempts use the same id, even after a reset. */
  id: string;
  /** The reference of the request, if this message is a reminder and the request has one. */
  request?: string | undefined;
}

/**
 * Sends messages to approvers on one channel, from an activity. The promises of every channel:
 *
 * - A message is idempotent by `id` as far as the channel allows. Mails and webhooks carry the id, so that the receiver
 *   can drop duplicates. Slack has no such id: if its response is lost, the approver gets a second message with the same
 *   buttons. Duplicates are harmless, because only the first decision counts.
 * - A final failure is non-retryable. It concerns this message or its receiver: `MailRejected`, `ReceiverGone`,
 *   `AddressForbidden`, `SlackRejected`.
 * - `MailMisconfigured` and `SlackMisconfigured` are retried slowly, because an operator must first fix our credentials.
 * - Any other failure is retryable: `MailUnavailable`, `ReceiverUnavailable`, `SlackUnavailable`. If the receiver asks for
 *   a delay (`Retry-After`), the next attempt waits for it.
 * - Every call ends before the start-to-close timeout (30 s) of the activities that send messages.
 */
export interface Notifier<Message extends ApproverMessage> {
  channel: Notification['channel'];
  /**
   * Sends the request for a decision, or a reminder.
   *
   * @returns the reference with which the channel can change the message later; undefined if the channel cannot.
   */
  send: (message: Message, options: SendOptions) => Promise<string | undefined>;
}
