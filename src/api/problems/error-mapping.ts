import { status } from '@grpc/grpc-js';
import { WorkflowNotFoundError } from '@temporalio/client';
import type { FastifyError } from 'fastify';
import pg from 'pg';
import { isDatabaseUnavailable } from '../../store/postgres/connection-errors.js';
import { ConcurrencyQueueFull } from '../../async/concurrency-limit.js';
import { grpcErrorIn } from '../../temporal/grpc-errors.js';
import { MAX_BODY_BYTES } from '../limits.js';
import { bodyTooLarge, httpProblem, HttpProblem, invalidRequest, notFound } from './http-problem.js';
import { definitionOf, PROBLEM_KINDS, type ProblemKind } from './problem-kinds.js';

/** gRPC status codes of a server that is unavailable or overloaded. */
const UNAVAILABLE_GRPC_CODES: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.RESOURCE_EXHAUSTED,
  status.UNAVAILABLE,
]);

/** SQLSTATE class of values that a column cannot hold. */
const INVALID_DATA_SQLSTATES = /^22/;
/** SQLSTATE `disk_full` and `read_only_sql_transaction`. */
const NOT_WRITABLE_SQLSTATES = new Set(['53100', '25006']);

/** Maps an error to the problem that a client gets. */
export function toProblem(error: unknown): HttpProblem {
  if (error instanceof HttpProblem) return error;
  if (error instanceof WorkflowNotFoundError)
    return notFound('the workflow does not exist, or its history was deleted after the retention period');
  if (error instanceof ConcurrencyQueueFull)
    return httpProblem('overloaded', 'too many list requests are waiting; retry later');
  return temporalProblem(error) ?? storeProblem(error) ?? fastifyProblem(error) ?? new HttpProblem('internal-error');
}

/**
 * Returns the result of `run`. If `run` fails with a problem of this kind, returns the problem. Rethrows all other
 * errors.
 */
export async function catchProblem<T>(kind: ProblemKind, run: () => Promise<T>): Promise<T | HttpProblem> {
  try {
    return await run();
  } catch (error) {
    const problem = toProblem(error);
    if (problem.kind === kind) return problem;
    throw error;
  }
}

/** Maps a failed call to Temporal to a problem; undefined for other errors. */
function temporalProblem(error: unknown): HttpProblem | undefined {
  const grpc = grpcErrorIn(error);
  if (!grpc) return undefined;
  if (UNAVAILABLE_GRPC_CODES.has(grpc.code)) return httpProblem('temporal-unavailable', 'Temporal does not answer');
  if (grpc.code === status.INVALID_ARGUMENT)
    return invalidRequest([{ pointer: '', detail: 'Temporal rejected an argument of the request' }]);
  return undefined;
}

/** Maps a database or connection error to a problem; undefined for other errors. */
function storeProblem(error: unknown): HttpProblem | undefined {
  const unavailable = () => httpProblem('store-unavailable', 'the database does not answer');
  if (error instanceof pg.DatabaseError) {
    const sqlState = error.code ?? '';
    if (NOT_WRITABLE_SQLSTATES.has(sqlState))
      return httpProblem('store-unavailable', 'the database cannot be written to');
    if (isDatabaseUnavailable(error)) return unavailable();
    if (INVALID_DATA_SQLSTATES.test(sqlState))
      return invalidRequest([{ pointer: '', detail: 'the database cannot store a value of the request' }]);
    return undefined;
  }
  return isDatabaseUnavailable(error) ? unavailable() : undefined;
}

/** Maps Fastify's own rejections to problems: malformed JSON, wrong content type, body too large, and so on. */
function fastifyProblem(error: unknown): HttpProblem | undefined {
  const { statusCode, code, message } = (error ?? {}) as FastifyError;
  if (code === 'FST_ERR_HANDLER_TIMEOUT')
    return httpProblem('overloaded', 'the request was not answered within the time limit');
  if (!statusCode || statusCode < 400 || statusCode >= 500) return undefined;
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return bodyTooLarge(MAX_BODY_BYTES);
  const kind = PROBLEM_KINDS.find((kind) => definitionOf(kind).status === statusCode) ?? 'malformed-request';
  return new HttpProblem(kind, code?.startsWith('FST_') ? { detail: message } : {});
}
