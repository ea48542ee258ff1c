import { setTimeout as delay } from 'node:timers/promises';
import { timeoutSignal } from '../../../src/async/timeout-signal.js';
import { connectApi, type ApiClient } from '../../api-client/client.js';
import type { LoggedRequest, ClientLog } from '../client-log.js';

/**
 * A request without a response after this time is repeated. The API itself waits at most eight seconds for a worker.
 */
const REQUEST_TIMEOUT_MS = 10_000;
const INITIAL_BACKOFF_MS = 100;
const MAX_BACKOFF_MS = 2_000;
const POLL_INTERVAL_MS = 200;

/** A response of the typed client, or a `fetch` response in the same shape. */
export interface ApiResponse<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

export interface SendContext {
  signal: AbortSignal;
}

type AttemptOutcome<T> = { outcome: 'accepted'; body: T } | { outcome: 'rejected' };

/** A client that repeats a request until it gets a definite response, and records the responses. */
export class RetryingClient {
  readonly api: ApiClient;
  readonly #counts: Pick<ClientLog, 'requestsSent' | 'failedRequests'>;
  readonly #stopSignal: AbortSignal;

  /** `counts` counts requests and failures. `stopSignal` ends all requests. */
  constructor(
    apiUrls: readonly [string, ...string[]],
    { counts, stopSignal }: { counts: Pick<ClientLog, 'requestsSent' | 'failedRequests'>; stopSignal: AbortSignal },
  ) {
    this.api = connectApi(apiUrls);
    this.#counts = counts;
    this.#stopSignal = stopSignal;
  }

  /**
   * Sends a request under its key until its outcome is known, and records the outcome in `request`. A second call with
   * the same `request` repeats it.
   *
   * @param summarise turns a response into the result that the log keeps.
   *
   * @returns the response, or undefined when the request was rejected or its outcome is unknown.
   */
  async send<T>(
    request: LoggedRequest,
    name: string,
    send: (attempt: SendContext) => Promise<ApiResponse<T>>,
    summarise: (body: T) => string,
  ): Promise<T | undefined> {
    for (let tries = 0; !this.#stopSignal.aborted; tries += 1) {
      if (tries > 0) await this.pause(Math.min(INITIAL_BACKOFF_MS * 2 ** (tries - 1), MAX_BACKOFF_MS));
      const result = await this.#attempt(name, send);
      if (!result) continue;
      if (result.outcome === 'accepted' || request.outcome === 'unknown') request.outcome = result.outcome;
      request.responses.push(result.outcome === 'accepted' ? summarise(result.body) : 'rejected');
      return result.outcome === 'accepted' ? result.body : undefined;
    }
    return undefined;
  }

  /** Polls until `matches` accepts the response. @returns undefined when the client stops or `until` aborts first. */
  async pollUntil<T>(
    read: (attempt: SendContext) => Promise<ApiResponse<T>>,
    matches: (body: T) => boolean,
    until?: AbortSignal,
  ): Promise<T | undefined> {
    const isStopped = () => this.#stopSignal.aborted || until?.aborted === true;
    while (!isStopped()) {
      const result = await this.#attempt('poll', read);
      if (result?.outcome === 'accepted' && matches(result.body)) return result.body;
      await this.pause(POLL_INTERVAL_MS, until);
    }
    return undefined;
  }

  /** Waits. Ends early when the client stops or `until` aborts. */
  async pause(ms: number, until?: AbortSignal): Promise<void> {
    const signal = until ? AbortSignal.any([this.#stopSignal, until]) : this.#stopSignal;
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }

  /** Sends a request once. @returns undefined when the outcome is still unknown. */
  async #attempt<T>(
    name: string,
    send: (attempt: SendContext) => Promise<ApiResponse<T>>,
  ): Promise<AttemptOutcome<T> | undefined> {
    this.#counts.requestsSent += 1;
    try {
      const signal = timeoutSignal(REQUEST_TIMEOUT_MS, this.#stopSignal);
      const { data, error, response } = await send({ signal });
      if (response.ok) return { outcome: 'accepted', body: data as T };
      this.#countFailure(`${name} ${response.status}`);
      const { type } = (error ?? {}) as { type?: string };
      const isOpen = response.status >= 500 || response.status === 429 || type === '/problems/request-in-progress';
      return isOpen ? undefined : { outcome: 'rejected' };
    } catch (error) {
      if (!this.#stopSignal.aborted) this.#countFailure(`${name} ${errorCode(error)}`);
      return undefined;
    }
  }

  #countFailure(reason: string): void {
    this.#counts.failedRequests[reason] = (this.#counts.failedRequests[reason] ?? 0) + 1;
  }
}

/** Creates a request without a response. */
export const newLoggedRequest = (key: string): LoggedRequest => ({ key, outcome: 'unknown', responses: [] });

/** Returns the system error code (`ECONNRESET`), or the error's name when there is no code. */
function errorCode(error: unknown): string {
  let name = 'Error';
  for (let reason = error; reason instanceof Error; reason = reason.cause) {
    const { code } = reason as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    name = reason.name;
  }
  return name;
}
