import { DefaultLogger, type LogEntry, type LogLevel } from '@temporalio/worker';
import { pino, type Logger } from 'pino';
import { toWellFormedJson } from '../text/json-limits.js';
import { truncateText } from '../text/well-formed-text.js';

export type { Logger } from 'pino';

const PINO_LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/**
 * Creates the logger of a process. It writes one JSON object per line to stdout. Every line contains `service` and the
 * fields that `fields` returns at that moment.
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

/** A line with more characters is truncated: each of its texts then has at most `MAX_TEXT_LENGTH` characters. */
const MAX_LINE_LENGTH = 32_000;
const MAX_TEXT_LENGTH = 2_000;
/** The maximum number of fields in a line that is still too long after its texts are truncated. */
const MAX_SCALAR_FIELDS = 12;

/** Returns a log line that every collector accepts: well-formed, and truncated when a caller sent large values. */
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

/** The SDK has no level above ERROR. */
const SDK_LEVELS: Record<string, LogLevel> = {
  trace: 'TRACE',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERROR',
};

/** Lines of the SDK about normal operation, which are logged as `debug`. */
const ROUTINE_SDK_LINES = new Set([
  // The worker of `payments` has only activities, and only the approval namespace has a Nexus service.
  'No workflows registered, not polling for workflow tasks',
  'No Nexus services registered, not polling for Nexus tasks',
]);

/** Creates the logger for the Temporal SDK. The SDK also passes it the log lines of workflows and activities. */
export function temporalLogger(logger: Logger): DefaultLogger {
  // With the level of the logger, the SDK does not create the lines that the logger would omit.
  const level = SDK_LEVELS[logger.level] ?? 'ERROR';
  return new DefaultLogger(level, ({ level, message, meta }: LogEntry) => {
    logger[ROUTINE_SDK_LINES.has(message) ? 'debug' : PINO_LEVELS[level]](toLogFields(meta), message);
  });
}

/** The log filter of the SDK's core: its own lines of at least this level, and only errors of its libraries. */
export const coreLogFilter = (level: 'info' | 'warn' | 'error') =>
  ({ core: level.toUpperCase() as Uppercase<typeof level>, other: 'ERROR' }) as const;

/**
 * Fields that the SDK adds to log lines about tasks. They contain a whole task with its payloads, or data that only
 * Temporal can read.
 */
const TASK_FIELDS = new Set(['task', 'taskEncoded', 'taskToken', 'jobs', 'start']);

/** Renames fields to their names in workflow logs. Removes `TASK_FIELDS`. */
function toLogFields({ workflowRunId, error, ...rest }: Record<string, unknown> = {}) {
  return {
    ...(workflowRunId !== undefined && { runId: workflowRunId }),
    ...(error !== undefined && { err: error }),
    ...Object.fromEntries(Object.entries(rest).filter(([name]) => !TASK_FIELDS.has(name))),
  };
}

/** Serializes an error without its attached data, such as failure details or query values. */
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
