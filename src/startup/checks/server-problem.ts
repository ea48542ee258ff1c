import type { ConfigProblem } from '../../config/errors.js';
import { isConnectionErrorCode, type ConnectionErrorCode } from '../../store/postgres/connection-errors.js';

/** A problem with a server that a process needs. */
export interface ServerProblem extends ConfigProblem {
  /**
   * `rejected`: the server responds but does not accept this configuration. `unreachable`: the server sends no usable
   * response. The variable may be wrong, or the server may be down.
   */
  kind: 'rejected' | 'unreachable';
}

/** Maximum time that a starting process waits for the response of a server. */
export const RESPONSE_TIMEOUT_MS = 5_000;

/** The error text of a timeout. */
export const NO_RESPONSE = `no response within ${RESPONSE_TIMEOUT_MS / 1000} s`;

const CONNECTION_ERROR_TEXTS: Record<ConnectionErrorCode, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'the host name cannot be resolved',
  ETIMEDOUT: NO_RESPONSE,
};

/** Describes a connection error. If a host has several addresses, describes the error of the first address. */
export function describeConnectionError(error: unknown): string {
  const { code, message, errors } = error as NodeJS.ErrnoException & { errors?: unknown[] };
  if (errors?.length) return describeConnectionError(errors[0]);
  if (/timeout/i.test(message)) return NO_RESPONSE;
  return isConnectionErrorCode(code) ? CONNECTION_ERROR_TEXTS[code] : message;
}
