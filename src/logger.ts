import { DefaultLogger, type LogEntry } from '@temporalio/worker';
import { pino, type Logger } from 'pino';

export type { Logger } from 'pino';

const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** The process's logger: one JSON object a line on stdout. `service` is in every line. */
export function createLogger(service: string, level: string): Logger {
  return pino({ level, base: { service }, timestamp: pino.stdTimeFunctions.isoTime });
}

/** The same logger in the shape of the Temporal SDK, for its own messages and for those of workflows and activities. */
export function temporalLogger(logger: Logger): DefaultLogger {
  return new DefaultLogger('TRACE', ({ level, message, meta }: LogEntry) => {
    logger[LEVELS[level]](meta ?? {}, message);
  });
}
