import { setTimeout as delay } from 'node:timers/promises';
import { connectApi, type ApiClient } from '../../api-client/client.js';
import type { LoggedRequest, ClientLog } from '../client-log.js';

/** A request without a response by then is sent again. The API itself gives up on a worker after eight seconds. */
const REQUEST_TIMEOUT_MS = 10_000;
const INITIAL_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;
const POLL_INTERVAL_MS = 200;

/** A response of the typed client, or one of the same shape. */
export interface ApiResponse<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

export interface SendContext {
  signal: AbortSignal;
}

type AttemptOutcome<T> = { outcome: 'accepted'; body: T } | { outcome: 'rejected' };

/** A client that repeats requests until it gets a definite response, and records the responses. */
export class RetryingClient {
  readonly api: ApiClient;
  readonly #tally: Pick<ClientLog, 'requestsSent' | 'failedRequests'>;
  readonly #left: AbortSignal;

  /** `left` ends all attempts. */
  constructor(
    apiUrls: readonly [string, ...string[]],
    { tally, left }: { tally: Pick<ClientLog, 'requestsSent' | 'failedRequests'>; left: AbortSignal },
  ) {
    this.api = connectApi(apiUrls);
    this.#tally = tally;
    this.#left = left;
  }

  /**
   * Sends a request under its key until its outcome is known, and records the outcome in `asked`. A second call with
   * the same `asked` is a repetition of a request that may already have a response.
   *
   * @param toName what a response says was done.
   * @returns the response, or undefined when the request was rejected or its outcome is unknown.
   */
  async send<T>(
    asked: LoggedRequest,
    what: string,
    send: (attempt: SendContext) => Promise<ApiResponse<T>>,
    toName: (said: T) => string,
  ): Promise<T | undefined> {
    for (let tries = 0; !this.#left.aborted; tries += 1) {
      if (tries > 0) await this.pause(Math.min(INITIAL_BACKOFF_MS * 2 ** (tries - 1), MAX_BACKOFF_MS));
      const result = await this.#attempt(what, send);
      if (!result) continue;
      if (result.outcome === 'accepted' || asked.outcome === 'unknown') asked.outcome = result.outcome;
      asked.responses.push(result.outcome === 'accepted' ? toName(result.body) : 'rejected');
      return result.outcome === 'accepted' ? result.body : undefined;
    }
    return undefined;
  }

  /** Polls until the result is as wanted. @returns undefined when the caller has to leave first. */
  async pollUntil<T>(
    look: (attempt: SendContext) => Promise<ApiResponse<T>>,
    wanted: (seen: T) => boolean,
    until?: AbortSignal,
  ): Promise<T | undefined> {
    const isOver = () => this.#left.aborted || until?.aborted === true;
    while (!isOver()) {
      const result = await this.#attempt('look', look);
      if (result?.outcome === 'accepted' && wanted(result.body)) return result.body;
      await this.pause(POLL_INTERVAL_MS, until);
    }
    return undefined;
  }

  /** Waits. Ends early when the caller has to leave or `until` aborts. */
  async pause(ms: number, until?: AbortSignal): Promise<void> {
    const signal = until ? AbortSignal.any([this.#left, until]) : this.#left;
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }

  /** @returns undefined when the request has to be repeated. */
  async #attempt<T>(
    what: string,
    send: (attempt: SendContext) => Promise<ApiResponse<T>>,
  ): Promise<AttemptOutcome<T> | undefined> {
    this.#tally.requestsSent += 1;
    try {
      const signal = AbortSignal.any([this.#left, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]);
      const { data, error, response } = await send({ signal });
      if (response.ok) return { outcome: 'accepted', body: data as T };
      this.#note(`${what} ${response.status}`);
      const { type } = (error ?? {}) as { type?: string };
      const isOpen = response.status >= 500 || response.status === 429 || type === '/problems/request-in-progress';
      return isOpen ? undefined : { outcome: 'rejected' };
    } catch (error) {
      if (!this.#left.aborted) this.#note(`${what} ${errorCode(error)}`);
      return undefined;
    }
  }

  #note(what: string): void {
    this.#tally.failedRequests[what] = (this.#tally.failedRequests[what] ?? 0) + 1;
  }
}

/** A request without a response yet. */
export const newLoggedRequest = (key: string): LoggedRequest => ({ key, outcome: 'unknown', responses: [] });

/** The system's code for a broken connection, or else the error's own name. */
function errorCode(error: unknown): string {
  let name = 'Error';
  for (let reason = error; reason instanceof Error; reason = reason.cause) {
    const { code } = reason as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    name = reason.name;
  }
  return name;
}
