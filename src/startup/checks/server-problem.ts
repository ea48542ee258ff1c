import type { ConfigProblem } from '../../config/errors.js';

/** A problem with a server that a process needs. */
export interface ServerProblem extends ConfigProblem {
  /**
   * `rejected`: the server responds but does not accept this configuration. `unreachable`: no usable response; the
   * variable may be wrong, or the server is temporarily down.
   */
  kind: 'rejected' | 'unreachable';
}

/** How long a start waits for a server's response. */
export const RESPONSE_TIMEOUT_MS = 5_000;

/** The text of a timeout. */
export const NO_RESPONSE = `no response within ${RESPONSE_TIMEOUT_MS / 1000} s`;

const CONNECTION_ERROR_TEXTS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'the host name cannot be resolved',
  ETIMEDOUT: NO_RESPONSE,
};

/** Describes a connection error. For a host with several addresses, describes the first one's error. */
export function describeConnectionError(error: unknown): string {
  const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: unknown[] };
  if (errors?.length) return describeConnectionError(errors[0]);
  if (/timeout/i.test(message)) return NO_RESPONSE;
  return (code !== undefined && CONNECTION_ERROR_TEXTS[code]) || message;
}
