import { Context } from '@temporalio/activity';
import { Webhook } from 'standardwebhooks';
import { OutgoingRefused, type Outgoing } from '../http-client/outgoing.js';
import { refused } from './failures.js';
import { CALL_TIMEOUT_MS, whileBeating } from './outside.js';
import { retryAfterMs, unavailable } from './retries.js';

/** A receiver can slow the shop down, but cannot make it call more than once a minute. */
const MIN_RETRY_AFTER_MS = 60_000;

export interface WebhookMessage {
  /** Came from outside: it is called under the rules of `Outgoing`. */
  url: string;
  /** The same for every try, so that the receiver can drop a repeat. */
  id: string;
  type: string;
  data: unknown;
}

export type Webhooks = ReturnType<typeof createWebhooks>;

/**
 * Sends Standard Webhooks (https://www.standardwebhooks.com).
 *
 * @param secrets sign each message, all of them: a receiver verifies with any, so a secret can be replaced without a gap.
 * @throws an Error when there is no secret, or one that is not base64 after `whsec_`.
 */
export function createWebhooks({ outgoing, secrets }: { outgoing: Outgoing; secrets: readonly string[] }) {
  if (secrets.length === 0) throw new Error('webhooks need a secret to be signed with');
  const signers = secrets.map((secret) => new Webhook(secret));

  return {
    /**
     * Sends once, from an activity; every try has the same body. Any 2xx is a delivery.
     *
     * @throws `AddressForbidden` and `ReceiverGone` (410), which are final; `ReceiverUnavailable` for any other answer, a
     * redirect too, and for none within CALL_TIMEOUT_MS. `Retry-After` on 429 and 503 sets the delay of the retry. The
     * messages, which get into histories, name the host at most.
     */
    async send({ url, id, type, data }: WebhookMessage): Promise<void> {
      const askedAt = new Date(Context.current().info.scheduledTimestampMs);
      const body = JSON.stringify({ type, timestamp: askedAt.toISOString(), data });
      const now = new Date();
      const headers = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
        'webhook-signature': signers.map((signer) => signer.sign(id, now, body)).join(' '),
      };
      const response = await whileBeating((signal) =>
        outgoing.post(url, { headers, body, timeoutMs: CALL_TIMEOUT_MS, signal }).catch((error: unknown) => {
          if (error instanceof OutgoingRefused) throw refused('AddressForbidden', error.message);
          throw unavailable('Receiver', `${hostOf(url)} could not be reached (${nameOf(error)})`);
        }),
      );
      const { status } = response;
      if (status === 410) throw refused('ReceiverGone', `${hostOf(url)} answered 410`);
      if (status < 200 || status > 299) {
        const delayMs = retryAfterMs(response, { atLeastMs: MIN_RETRY_AFTER_MS });
        throw unavailable('Receiver', `${hostOf(url)} answered ${status}`, delayMs);
      }
    },
  };
}

function hostOf(url: string): string {
  return new URL(url).host;
}

/** Not the message: some quote what the other side sent. */
function nameOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name: string };
  return typeof code === 'string' ? code : name;
}
