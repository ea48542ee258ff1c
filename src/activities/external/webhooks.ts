import { Context } from '@temporalio/activity';
import { Webhook } from 'standardwebhooks';
import { ForbiddenUrlError, type OutgoingHttpClient } from '../../http-client/outgoing-http-client.js';
import { CALL_TIMEOUT_MS, retryAfterMs } from './external-calls.js';
import { rejectionFailure } from '../../failures/rejections.js';
import { unavailableFailure } from '../failures.js';
import { withHeartbeat } from './heartbeat.js';

/** The shortest retry delay that a receiver can set with `Retry-After`. */
const MIN_RETRY_AFTER_MS = 60_000;

export interface WebhookMessage {
  /** A caller supplies this URL, so the rules of `OutgoingHttpClient` apply to it. */
  url: string;
  /** All attempts use the same id, so that the receiver can drop duplicates. */
  id: string;
  type: string;
  data: unknown;
}

export type Webhooks = ReturnType<typeof createWebhooks>;

/**
 * Creates a sender of Standard Webhooks (https://www.standardwebhooks.com).
 *
 * @param secrets every message has one signature per secret, so that secrets can be rotated without downtime.
 * @throws an Error when `secrets` is empty or contains a value that is not `whsec_` plus base64.
 */
export function createWebhooks({ outgoing, secrets }: { outgoing: OutgoingHttpClient; secrets: readonly string[] }) {
  if (secrets.length === 0) throw new Error('webhooks need at least one secret');
  const signers = secrets.map((secret) => new Webhook(secret));

  return {
    /**
     * Sends a webhook from an activity. All attempts have the same body. Any 2xx status counts as delivered. Histories
     * contain failure messages, so a failure message contains at most the host of the URL.
     *
     * @throws `AddressForbidden` for a forbidden address and `ReceiverGone` for status 410. Both are non-retryable.
     * @throws `ReceiverUnavailable` (retryable) for any other status, including redirects, or when there is no response
     * within CALL_TIMEOUT_MS. `Retry-After` on 429 and 503 sets the delay.
     */
    async send({ url, id, type, data }: WebhookMessage): Promise<void> {
      const scheduledAt = new Date(Context.current().info.scheduledTimestampMs);
      const body = JSON.stringify({ type, timestamp: scheduledAt.toISOString(), data });
      const now = new Date();
      const headers = {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': String(Math.floor(now.getTime() / 1_000)),
        'webhook-signature': signers.map((signer) => signer.sign(id, now, body)).join(' '),
      };
      const response = await withHeartbeat((signal) =>
        outgoing.post(url, { headers, body, timeoutMs: CALL_TIMEOUT_MS, signal }).catch((error: unknown) => {
          if (error instanceof ForbiddenUrlError) throw rejectionFailure('AddressForbidden', error.message);
          throw unavailableFailure('Receiver', `${hostOf(url)} could not be reached (${errorCodeOf(error)})`);
        }),
      );
      const { status } = response;
      if (status === 410) throw rejectionFailure('ReceiverGone', `${hostOf(url)} answered 410`);
      if (status < 200 || status > 299) {
        const delayMs = retryAfterMs(response, { atLeastMs: MIN_RETRY_AFTER_MS });
        throw unavailableFailure('Receiver', `${hostOf(url)} answered ${status}`, delayMs);
      }
    },
  };
}

function hostOf(url: string): string {
  return new URL(url).host;
}

/** Returns only the code or the name of an error, because its message may quote data of the receiver. */
function errorCodeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name: string };
  return typeof code === 'string' ? code : name;
}
