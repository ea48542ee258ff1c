import { DefaultLogger, type LogEntry } from '@temporalio/worker';
import { pino, type Logger } from 'pino';
import { wellFormedJson } from '../temporal/payloads/json.js';
import { bounded } from '../temporal/payloads/text.js';

export type { Logger } from 'pino';

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/**
 * The process's logger: one JSON object a line on stdout. `service` is in every line, and whatever `fields` says at that
 * moment.
 */
export function createLogger(service: string, level: string, fields?: () => object): Logger {
  return pino({
    ...{ level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime },
    ...(fields && { mixin: fields }),
    serializers: { err: loggedError },
    hooks: { streamWrite: boundedLine },
  });
}

/** In characters: of a line that is written as it is, and of a text in a longer one. */
const MAX_LINE = 32_000;
const MAX_LOGGED_TEXT = 2_000;
/** Of a line that is still too long. */
const MAX_PLAIN_FIELDS = 12;

/** A line that every collector takes, whatever was logged: well-formed, and cut where a caller sent a megabyte. */
export function boundedLine(line: string): string {
  // Pino escapes most lone surrogates and writes the others as they are.
  if (line.length <= MAX_LINE) return wellFormedJson(line.toWellFormed());
  const fields = JSON.parse(line, (_key, value: unknown) =>
    typeof value === 'string' ? bounded(value, MAX_LOGGED_TEXT) : value,
  ) as Record<string, unknown>;
  const shorter = JSON.stringify(fields);
  if (shorter.length <= MAX_LINE) return `${shorter}\n`;
  const plain = Object.entries(fields).filter(([, value]) => typeof value !== 'object');
  return `${JSON.stringify({ ...Object.fromEntries(plain.slice(0, MAX_PLAIN_FIELDS)), isCut: true })}\n`;
}

/** Warnings of the SDK about what is meant to be so: the worker of `payments` has activities only. */
const INTENDED = new Set(['No workflows registered, not polling for workflow tasks']);

/** The same logger in the shape of the Temporal SDK, for its own messages and for those of workflows and activities. */
export function temporalLogger(logger: Logger): DefaultLogger {
  return new DefaultLogger('TRACE', ({ level, message, meta }: LogEntry) => {
    logger[INTENDED.has(message) ? 'debug' : LEVELS[level]](fieldsOf(meta), message);
  });
}

/** What the SDK's core logs: its own lines from this level on, and of its libraries only errors. */
export const coreLogFilter = (level: 'info' | 'warn' | 'error') =>
  ({ core: level.toUpperCase() as Uppercase<typeof level>, other: 'ERROR' }) as const;

/** What the SDK adds of the tasks that it gets: whole ones, with the payloads in them, and what only Temporal can read. */
const OF_TASKS = new Set(['task', 'taskEncoded', 'taskToken', 'jobs', 'start']);

/** Names as workflows have them too, and nothing of tasks. */
function fieldsOf({ workflowRunId, error, ...rest }: Record<string, unknown> = {}) {
  return {
    ...(workflowRunId !== undefined && { runId: workflowRunId }),
    ...(error !== undefined && { err: error }),
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !OF_TASKS.has(name))),
  };
}

/** An error as it is logged: without what it carries along, the details of a failure or the values of a query. */
function loggedError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const { type, code } = error as { type?: unknown; code?: unknown };
  return {
    type: typeof type === 'string' ? type : name,
    message,
    stack,
    ...(['string', 'number'].includes(typeof code) && { code }),
    ...(cause !== undefined && { cause: loggedError(cause) }),
  };
}
