import { setTimeout as delay } from 'node:timers/promises';
import { connectApi, type ApiClient } from '../../api-client/client.js';
import type { Asked, Ledger } from '../ledger.js';

/** A request without a response by then is sent again. The API itself gives up on a worker after eight seconds. */
const ATTEMPT_TIMEOUT_MS = 10_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;
const LOOK_EVERY_MS = 200;

/** A response of the typed client, or one of the same shape. */
export interface Answer<T> {
  data?: T | undefined;
  error?: unknown;
  response: Response;
}

export interface Attempt {
  signal: AbortSignal;
}

type Outcome<T> = { fate: 'accepted'; said: T } | { fate: 'refused' };

/** A client that repeats requests until it gets a definite response, and records the responses. */
export class Caller {
  readonly api: ApiClient;
  readonly #tally: Pick<Ledger, 'attempts' | 'refused'>;
  readonly #left: AbortSignal;

  /** `left` ends all attempts. */
  constructor(
    apiUrls: readonly [string, ...string[]],
    { tally, left }: { tally: Pick<Ledger, 'attempts' | 'refused'>; left: AbortSignal },
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
  async ask<T>(
    asked: Asked,
    what: string,
    send: (attempt: Attempt) => Promise<Answer<T>>,
    toName: (said: T) => string,
  ): Promise<T | undefined> {
    for (let tries = 0; !this.#left.aborted; tries += 1) {
      if (tries > 0) await this.rest(Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS));
      const outcome = await this.#attempt(what, send);
      if (!outcome) continue;
      if (outcome.fate === 'accepted' || asked.fate === 'unknown') asked.fate = outcome.fate;
      asked.answers.push(outcome.fate === 'accepted' ? toName(outcome.said) : 'refused');
      return outcome.fate === 'accepted' ? outcome.said : undefined;
    }
    return undefined;
  }

  /** Polls until the result is as wanted. @returns undefined when the caller has to leave first. */
  async see<T>(
    look: (attempt: Attempt) => Promise<Answer<T>>,
    wanted: (seen: T) => boolean,
    until?: AbortSignal,
  ): Promise<T | undefined> {
    const isOver = () => this.#left.aborted || until?.aborted === true;
    while (!isOver()) {
      const outcome = await this.#attempt('look', look);
      if (outcome?.fate === 'accepted' && wanted(outcome.said)) return outcome.said;
      await this.rest(LOOK_EVERY_MS, until);
    }
    return undefined;
  }

  /** Waits. Ends early when the caller has to leave or `until` aborts. */
  async rest(ms: number, until?: AbortSignal): Promise<void> {
    const signal = until ? AbortSignal.any([this.#left, until]) : this.#left;
    await delay(ms, undefined, { signal }).catch(() => undefined);
  }

  /** @returns undefined when the request has to be repeated. */
  async #attempt<T>(what: string, send: (attempt: Attempt) => Promise<Answer<T>>): Promise<Outcome<T> | undefined> {
    this.#tally.attempts += 1;
    try {
      const signal = AbortSignal.any([this.#left, AbortSignal.timeout(ATTEMPT_TIMEOUT_MS)]);
      const { data, error, response } = await send({ signal });
      if (response.ok) return { fate: 'accepted', said: data as T };
      this.#note(`${what} ${response.status}`);
      const { type } = (error ?? {}) as { type?: string };
      const isOpen = response.status >= 500 || response.status === 429 || type === '/problems/request-in-progress';
      return isOpen ? undefined : { fate: 'refused' };
    } catch (error) {
      if (!this.#left.aborted) this.#note(`${what} ${nameOf(error)}`);
      return undefined;
    }
  }

  #note(what: string): void {
    this.#tally.refused[what] = (this.#tally.refused[what] ?? 0) + 1;
  }
}

/** A request without a response yet. */
export const unanswered = (key: string): Asked => ({ key, fate: 'unknown', answers: [] });

/** The system's code for a broken connection, or else the error's own name. */
function nameOf(error: unknown): string {
  let name = 'Error';
  for (let reason = error; reason instanceof Error; reason = reason.cause) {
    const { code } = reason as NodeJS.ErrnoException;
    if (typeof code === 'string') return code;
    name = reason.name;
  }
  return name;
}
