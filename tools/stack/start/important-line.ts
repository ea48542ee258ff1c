import { levelName, parseLogEntry } from '../log-entries.js';

const WARN_LEVEL = 40;

/**
 * Formats an important output line of a child process. Returns undefined for all other lines, which are only in the log
 * file. Important lines are log entries of level warn and above, and lines on stderr that are not log entries.
 */
export function formatImportantLine(line: string, stream: 'stdout' | 'stderr'): string | undefined {
  const entry = parseLogEntry(line);
  if (!entry) return stream === 'stderr' && line.trim() ? line : undefined;
  if (typeof entry.level !== 'number' || entry.level < WARN_LEVEL) return undefined;
  const reason = entry.err?.message ?? entry.error?.message;
  return [`${levelName(entry.level)}:`, entry.msg, reason && `(${reason})`].filter(Boolean).join(' ');
}
