import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { z } from 'zod';
import { timeLimit } from '../time-limit.js';

/** Time limit of one call to another system, below the start-to-close timeout of the activities that make it. */
export const CALL_TIMEOUT_MS = 10_000;

/** Half the heartbeat timeout that the workflows set, at most; it bounds how late a cancellation is noticed. */
const HEARTBEAT_INTERVAL_MS = 1_000;

/** Another system's word on why it refuses. */
const errorBody = z.object({ error: z.object({ code: z.string(), message: z.string().optional() }) });

export interface OutsideQuestion<T extends z.ZodType> {
  /** Name of the system, for failures and people. */
  system: string;
  url: string;
  answer: T;
  /** What a refusal (4xx) means, by its code. One that is not named here is `RefusedByOutside`: a bug on our side. */
  refusals?: Record<string, (message: string) => z.infer<T> | ApplicationFailure>;
}

export interface OutsideCall<T extends z.ZodType> extends OutsideQuestion<T> {
  idempotencyKey: string;
  body: unknown;
}

/**
 * Calls another system from an activity: with an idempotency key, a time limit, heartbeats while it waits, and an answer
 * that is parsed before it is believed.
 *
 * A lost connection, a time-out, 408, 425, 429, 5xx and an answer that does not parse are retryable and named
 * `<System>Unavailable`; any other 4xx is final.
 */
export async function callOutside<T extends z.ZodType>(call: OutsideCall<T>): Promise<z.infer<T>> {
  const { idempotencyKey, body } = call;
  const headers = { 'content-type': 'application/json', 'idempotency-key': idempotencyKey };
  const request = { method: 'POST', headers, body: JSON.stringify(body) };
  return await whileBeating((cancellation) => exchange(call, request, cancellation));
}

/** Asks another system for something that it only has to look up; else like `callOutside`. */
export async function askOutside<T extends z.ZodType>(question: OutsideQuestion<T>): Promise<z.infer<T>> {
  return await whileBeating((cancellation) => exchange(question, { method: 'GET' }, cancellation));
}

/**
 * Waits in an activity for something outside, with heartbeats, so that a cancellation is noticed. A heartbeat carries
 * what `progress` says.
 *
 * @throws the cancellation when there was one, whatever `wait` made of it.
 */
export async function whileBeating<T>(
  wait: (cancellation: AbortSignal) => Promise<T>,
  progress?: () => unknown,
): Promise<T> {
  const context = Context.current();
  const heart = setInterval(() => context.heartbeat(progress?.()), HEARTBEAT_INTERVAL_MS);
  try {
    return await wait(context.cancellationSignal);
  } catch (error) {
    throw context.cancellationSignal.aborted ? context.cancellationSignal.reason : error;
  } finally {
    clearInterval(heart);
  }
}

async function exchange<T extends z.ZodType>(
  { system, url, answer, refusals = {} }: OutsideQuestion<T>,
  request: RequestInit,
  cancellation: AbortSignal,
): Promise<z.infer<T>> {
  const unavailable = (message: string) =>
    ApplicationFailure.create({ type: `${system}Unavailable`, message: `${system}: ${message}` });

  let status: number;
  let received: unknown;
  try {
    const response = await fetch(url, {
      ...request,
      redirect: 'error',
      signal: timeLimit(CALL_TIMEOUT_MS, cancellation),
    });
    status = response.status;
    received = parseJson(await response.text());
  } catch (error) {
    throw unavailable(networkProblem(error));
  }

  if (status >= 500 || [408, 425, 429].includes(status)) throw unavailable(`answered ${status}`);
  if (status >= 400) {
    const refusal = errorBody.safeParse(received).data?.error;
    const known = refusal && refusals[refusal.code]?.(refusal.message ?? refusal.code);
    // Its code and not its words, which may quote what was sent, and failures are logged.
    if (!known)
      throw ApplicationFailure.nonRetryable(`${system}: ${refused(refusal?.code)} (${status})`, 'RefusedByOutside');
    if (known instanceof ApplicationFailure) throw known;
    return known;
  }
  const parsed = answer.safeParse(received);
  if (!parsed.success) throw unavailable(`answered ${status} with a body that is not the agreed one`);
  return parsed.data;
}

const refused = (code = 'refused it') => (/^[\w.-]{1,64}$/.test(code) ? code : 'refused it');

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `fetch` hides what went wrong behind "fetch failed". */
function networkProblem(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message ? cause.message : message;
}
