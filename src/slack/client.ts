import { z } from 'zod';
import { timeoutSignal } from '../async/timeout-signal.js';
import { networkErrorMessage, parseJson } from '../http-client/responses.js';

/** The address of Slack's Web API, and the token of the bot that calls it. */
export interface SlackSettings {
  /** Without a slash at the end. */
  apiUrl: string;
  botToken: string;
}

/**
 * A call that Slack did not carry out, or whose response was lost.
 *
 * `code` is Slack's error code, such as `channel_not_found`. Without a code, no readable response arrived, and Slack may
 * have carried out the call.
 */
export class SlackError extends Error {
  override readonly name = 'SlackError';
  readonly code: string | undefined;
  /** The header `Retry-After` of a response with status 429. */
  readonly retryAfter: string | null;

  constructor(message: string, { code, retryAfter = null }: { code?: string; retryAfter?: string | null } = {}) {
    super(message);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** Failure messages contain the error code, so other texts are not accepted as one. */
const errorCode = z.string().regex(/^[a-z0-9_]{1,64}$/);

const response = z.discriminatedUnion('ok', [
  z.looseObject({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), error: errorCode }),
]);

export type SlackMethod = 'chat.postMessage' | 'chat.update' | 'chat.postEphemeral' | 'views.open';

export type SlackClient = ReturnType<typeof createSlackClient>;

/**
 * Creates a client for the few methods of Slack's Web API that approvals need.
 *
 * Uses `fetch` instead of `@slack/web-api`: Temporal or the caller retries, so the queue and the retries of that package
 * would be switched off, and it has no signal that cancels a call.
 */
export function createSlackClient({ apiUrl, botToken }: SlackSettings) {
  return {
    /**
     * Calls a method once. Does not follow redirects, so that the token reaches no other host.
     *
     * @returns the fields of Slack's response.
     * @throws SlackError
     */
    async call(
      method: SlackMethod,
      body: object,
      { timeoutMs }: { timeoutMs: number },
    ): Promise<Record<string, unknown>> {
      let status: number;
      let retryAfter: string | null;
      let text: string;
      try {
        const received = await fetch(`${apiUrl}/${method}`, {
          method: 'POST',
          headers: { authorization: `Bearer ${botToken}`, 'content-type': 'application/json; charset=utf-8' },
          body: JSON.stringify(body),
          redirect: 'manual',
          signal: timeoutSignal(timeoutMs),
        });
        status = received.status;
        retryAfter = received.headers.get('retry-after');
        text = await received.text();
      } catch (error) {
        throw new SlackError(networkErrorMessage(error));
      }
      if (status === 429) throw new SlackError('answered 429', { code: 'ratelimited', retryAfter });
      const parsed = response.safeParse(status < 300 ? parseJson(text) : undefined);
      if (!parsed.success) throw new SlackError(`answered ${status} without a readable result`);
      if (!parsed.data.ok) throw new SlackError(parsed.data.error, { code: parsed.data.error });
      return parsed.data;
    },
  };
}
