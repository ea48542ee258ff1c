import pg from 'pg';

/** The SQLSTATE codes that this project handles: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const SQLSTATE = {
  uniqueViolation: '23505',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  undefinedObject: '42704',
  diskFull: '53100',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
} as const;

/**
 * SQLSTATE classes of temporary errors: 08 (connection), 53 (insufficient resources) and 57 (operator intervention).
 */
const TRANSIENT_CLASS = /^(08|53|57)/;

/** Returns the SQLSTATE of a PostgreSQL error, or undefined for any other error. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Whether the same statement can succeed on a retry. */
export const isTransient = (sqlState: string | undefined): boolean => TRANSIENT_CLASS.test(sqlState ?? '');
