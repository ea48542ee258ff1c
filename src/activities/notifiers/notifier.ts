import type { Notification } from '../../schemas/approval.js';
import type { ApproverMessage } from '../approver-messages.js';

export interface SendOptions {
  /** All attempts use the same id, even after a reset. */
  id: string;
  /** The reference of the request, if this message is a reminder and the request has one. */
  request?: string | undefined;
}

/**
 * The port to a channel on which approvers get messages. A notifier in this folder implements it, and
 * `npm run contract -- notifications` checks a notifier. docs/guides/write-an-adapter.md explains each promise.
 *
 * - **At least once.** A repeated `send` may deliver the message again, because a response can be lost. Duplicates are
 *   harmless: mails and webhooks carry `id`, so that the receiver can drop them, and the buttons of all messages in Slack
 *   decide the same stage, of which only the first decision counts.
 * - **One attempt.** `send` runs inside an activity, heartbeats (`withHeartbeat`), ends before the start-to-close timeout
 *   of 30 seconds, and never retries: Temporal repeats the activity.
 * - **Plain text.** The title, the description and the requester come from outside. A notifier escapes them for its
 *   channel and shortens them to the limits of the channel.
 *
 * `send` throws only these failures:
 *
 * - `MailUnavailable`, `ReceiverUnavailable` or `SlackUnavailable`, which is retried: a lost connection, a timeout, a rate
 *   limit, an error of the receiver, or an answer that cannot be read. `Retry-After` sets the delay.
 * - `MailMisconfigured` or `SlackMisconfigured`, which is retried slowly: an operator must first correct our credentials.
 * - `MailRejected`, `ReceiverGone`, `AddressForbidden` or `SlackRejected`, which is final: it concerns this message or its
 *   receiver.
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
