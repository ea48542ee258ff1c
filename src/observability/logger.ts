import { DefaultLogger, type LogEntry } from '@temporalio/worker';
import { pino, type Logger } from 'pino';
import { toWellFormedJson } from '../text/json-limits.js';
import { truncateText } from '../text/well-formed-text.js';

export type { Logger } from 'pino';

const PINO_LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/**
 * The process's logger: one JSON object per line on stdout. Every line contains `service` and the current result of
 * `fields`.
 */
export function createLogger(service: string, level: string, fields?: () => object): Logger {
  return pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    ...(fields && { mixin: fields }),
    serializers: { err: serializeError },
    hooks: { streamWrite: truncateLine },
  });
}

/** In characters: the maximum length of an unmodified line, and of each text in a longer line. */
const MAX_LINE_LENGTH = 32_000;
const MAX_TEXT_LENGTH = 2_000;
/** Maximum number of fields of a line that is still too long. */
const MAX_SCALAR_FIELDS = 12;

/** Makes a log line acceptable for every collector: well-formed, and truncated when a caller sent large values. */
export function truncateLine(line: string): string {
  // Pino escapes most lone surrogates, but not all.
  if (line.length <= MAX_LINE_LENGTH) return toWellFormedJson(line.toWellFormed());
  const fields = JSON.parse(line, (_key, value: unknown) =>
    typeof value === 'string' ? truncateText(value, MAX_TEXT_LENGTH) : value,
  ) as Record<string, unknown>;
  const shorter = JSON.stringify(fields);
  if (shorter.length <= MAX_LINE_LENGTH) return `${shorter}\n`;
  const plain = Object.entries(fields).filter(([, value]) => typeof value !== 'object');
  return `${JSON.stringify({ ...Object.fromEntries(plain.slice(0, MAX_SCALAR_FIELDS)), truncated: true })}\n`;
}

/** SDK warnings about intended configuration: the worker of `payments` has activities only. */
const EXPECTED_SDK_WARNINGS = new Set(['No workflows registered, not polling for workflow tasks']);

/** The logger for the Temporal SDK, for its own messages and for those of workflows and activities. */
export function temporalLogger(logger: Logger): DefaultLogger {
  return new DefaultLogger('TRACE', ({ level, message, meta }: LogEntry) => {
    logger[EXPECTED_SDK_WARNINGS.has(message) ? 'debug' : PINO_LEVELS[level]](toLogFields(meta), message);
  });
}

/** Log filter of the SDK's core: its own lines from this level on, and only errors of its libraries. */
export const coreLogFilter = (level: 'info' | 'warn' | 'error') =>
  ({ core: level.toUpperCase() as Uppercase<typeof level>, other: 'ERROR' }) as const;

/**
 * Fields that the SDK adds for tasks. They contain whole tasks with their payloads, or data that only Temporal can
 * read.
 */
const TASK_FIELDS = new Set(['task', 'taskEncoded', 'taskToken', 'jobs', 'start']);

/** Renames fields as in workflow logs, and drops the fields of tasks. */
function toLogFields({ workflowRunId, error, ...rest }: Record<string, unknown> = {}) {
  return {
    ...(workflowRunId !== undefined && { runId: workflowRunId }),
    ...(error !== undefined && { err: error }),
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !TASK_FIELDS.has(name))),
  };
}

/** Serializes an error without attached data, such as failure details or query values. */
function serializeError(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const { type, code } = error as { type?: unknown; code?: unknown };
  return {
    type: typeof type === 'string' ? type : name,
    message,
    stack,
    ...(['string', 'number'].includes(typeof code) && { code }),
    ...(cause !== undefined && { cause: serializeError(cause) }),
  };
}
