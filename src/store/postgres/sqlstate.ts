import pg from 'pg';

/** The SQLSTATE codes that the code handles: https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const SQLSTATE = {
  uniqueViolation: '23505',
  insufficientPrivilege: '42501',
  undefinedObject: '42704',
  diskFull: '53100',
} as const;

/** Classes of a server that is starting, stopping or overloaded: connection, resources, operator intervention. */
const TRANSIENT_CLASS = /^(08|53|57)/;

/** The SQLSTATE of an error from PostgreSQL; undefined for any other error. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof pg.DatabaseError ? error.code : undefined;
}

/** Whether the same statement can succeed later without a change. */
export const isTransient = (sqlState: string | undefined): boolean => TRANSIENT_CLASS.test(sqlState ?? '');
