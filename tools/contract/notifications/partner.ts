import type { ApproverMail } from '../../../src/activities/approver-messages.js';
import type { Notifier } from '../../../src/activities/notifiers/notifier.js';

/** A message as its receiver sees it. */
export interface ReceivedMessage {
  /**
   * What a receiver needs to recognize a duplicate: the id of the message, or what its buttons decide. Undefined if the
   * message needs none, like a reply without buttons.
   */
  identity: string | undefined;
  /** Everything that the message shows or contains. */
  text: string;
  /** The parts that the receiver interprets as markup. Undefined if it interprets nothing. */
  markup?: string;
}

/** How a channel fails a message. `rejected` is final, and `unauthorized` concerns our credentials. */
export type MessageFault = 'lost response' | 'unavailable' | 'rate limited' | 'rejected' | 'unauthorized' | 'garbled';

/** An interaction as the channel sends it to the API. */
export interface SignedInteraction {
  headers: Record<string, string>;
  body: string;
}

/**
 * A channel that the suite can send messages on and, if possible, make misbehave. The author of a notifier writes one
 * for the channel or for a fake of it. Cases that need a missing method are reported as not tried.
 */
export interface NotificationPartner {
  name: string;
  /** Creates the notifier under test. It sends every message to `approver`. */
  createNotifier: (approver: string) => Pick<Notifier<ApproverMail>, 'channel' | 'send'>;
  /** The messages that an approver has received, oldest first. */
  receivedBy: (approver: string) => Promise<ReceivedMessage[]>;
  /** The failure types of the channel, as the port names them. */
  failures: { unavailable: string; rejected: string; misconfigured?: string };
  /** Texts that would be markup or a wrong fact if the notifier did not escape them. Unset if nothing is markup. */
  hostileTexts?: string[];
  /** How many cases run at once. Defaults to 10. */
  concurrency?: number;
  /** How long a case may take. Defaults to two minutes. */
  caseTimeLimitMs?: number;

  /** Makes the next message fail. Contains only the faults that the partner can provoke. */
  faults?: Partial<Record<MessageFault, (approver: string) => Promise<void>>>;
  /** The delay of the fault `rate limited`. */
  retryAfterMs?: number;
  /** Does not answer the next message. */
  holdNextMessage?: (approver: string) => Promise<void>;
  /** How the channel signs the interactions with its messages, and the secrets that the API has. */
  interactions?: {
    secrets: string[];
    sign: (payload: object, options: { sentAt: Date; secret?: string }) => SignedInteraction;
  };
  close?: () => Promise<void>;
}
