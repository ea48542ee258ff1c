import type { Problem } from '../config.js';

/** A problem with a server that a process needs. */
export interface Finding extends Problem {
  /**
   * `rejected`: the server responds but does not accept this configuration. `unreachable`: no usable response; the
   * variable may be wrong, or the server is temporarily down.
   */
  kind: 'rejected' | 'unreachable';
}

/** How long a start waits for a server's response. */
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

/** Describes a connection error. For a host with several addresses, describes the first one's error. */
export function reasonOf(error: unknown): string {
  const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: unknown[] };
  if (errors?.length) return reasonOf(errors[0]);
  if (/timeout/i.test(message)) return NO_ANSWER;
  return (code !== undefined && REASONS[code]) || message;
}
