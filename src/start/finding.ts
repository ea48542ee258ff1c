import type { Problem } from '../config.js';

/** What a process found out about a server that it needs. */
export interface Finding extends Problem {
  /**
   * `rejected`: the server answers, and will not accept this configuration. `unreachable`: there was no usable answer; the
   * variable may be wrong, or the server is down for the moment.
   */
  kind: 'rejected' | 'unreachable';
}

/** How long a start waits for the answer of a server. */
export const ANSWER_TIMEOUT_MS = 5_000;

export const NO_ANSWER = `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`;

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'the name of the host cannot be resolved',
  ETIMEDOUT: NO_ANSWER,
};

/** An error of a connection in words. A host with several addresses fails with an error for each. */
export function reasonOf(error: unknown): string {
  const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: unknown[] };
  if (errors?.length) return reasonOf(errors[0]);
  if (/timeout/i.test(message)) return NO_ANSWER;
  return (code !== undefined && REASONS[code]) || message;
}
