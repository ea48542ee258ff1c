import pg from 'pg';
import { isTransient } from './sqlstate.js';

/** The codes of errors that a socket to the database can have, also while it connects. */
export const CONNECTION_ERROR_CODES = [
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
] as const;

export type ConnectionErrorCode = (typeof CONNECTION_ERROR_CODES)[number];

/** Errors of pg about a connection have no code. */
const PG_CONNECTION_ERROR = /connection (timeout|terminated)|timeout exceeded when trying to connect|is not queryable/i;

/** Whether this is the code of a lost or impossible connection. */
export const isConnectionErrorCode = (code: string | undefined): code is ConnectionErrorCode =>
  (CONNECTION_ERROR_CODES as readonly (string | undefined)[]).includes(code);

/**
 * Whether a failed call of the store shows that the database is unreachable, starting, stopping or overloaded. Call it
 * only with errors of the store, because the sockets of other systems have the same codes.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return isTransient(error.code);
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  return isConnectionErrorCode(code) || PG_CONNECTION_ERROR.test(message ?? '');
}
