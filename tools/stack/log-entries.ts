import { pino } from 'pino';

/** The fields of a log entry of worker, API or fakes. */
export interface LogEntry extends Record<string, unknown> {
  level?: unknown;
  msg?: string;
  err?: { message?: string };
  error?: { message?: string };
}

/** Returns the fields of a line of output; undefined for a line that is no log entry. */
export function parseLogEntry(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return undefined;
  }
}

/** Returns the name of a level, for example `warn` for 40. */
export const levelName = (level: unknown): string => pino.levels.labels[Number(level)] ?? String(level);
