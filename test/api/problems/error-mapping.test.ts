import pg from 'pg';
import { expect, test } from 'vitest';
import { toProblem } from '../../../src/api/problems/error-mapping.js';

const socketError = (code: string) => Object.assign(new Error(`connect ${code}`), { code });

const databaseError = (code: string) => Object.assign(new pg.DatabaseError('failed', 6, 'error'), { code });

test.each<[string, unknown]>([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT'].map(
    (code): [string, unknown] => [code, socketError(code)],
  ),
  ['two unreachable addresses', Object.assign(new AggregateError([socketError('ETIMEDOUT')]), { code: 'ETIMEDOUT' })],
  ['no free connection', new Error('timeout exceeded when trying to connect')],
  ['a connection that cannot be opened in time', new Error('Connection terminated due to connection timeout')],
  ['a lost connection', new Error('Connection terminated unexpectedly')],
  [
    'a connection lost within a transaction',
    new Error('Client has encountered a connection error and is not queryable'),
  ],
  ['a server that shuts down', databaseError('57P01')],
  ['a full disk', databaseError('53100')],
])('toProblem maps the database error %s to store-unavailable', (_description, error) => {
  expect(toProblem(error)).toMatchObject({ kind: 'store-unavailable' });
});

test.each<[string, unknown]>([
  ['an unknown code', socketError('EMFILE')],
  ['an unexpected error', new Error('a bug')],
  ['a failed HTTP call', new TypeError('fetch failed', { cause: socketError('ECONNREFUSED') })],
  ['a missing table', databaseError('42P01')],
  ['nothing', undefined],
])('toProblem maps %s to internal-error', (_description, error) => {
  expect(toProblem(error)).toMatchObject({ kind: 'internal-error' });
});
