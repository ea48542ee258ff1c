const levelNames: Record<number, string> = { 40: 'warn', 50: 'error', 60: 'fatal' };
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
  return [`${levelNames[entry.level] ?? entry.level}:`, entry.msg, reason && `(${reason})`].filter(Boolean).join(' ');
}

interface LogEntry {
  level?: unknown;
  msg?: string;
  err?: { message?: string };
  error?: { message?: string };
}

function parseLogEntry(line: string): LogEntry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as LogEntry;
  } catch {
    return undefined;
  }
}
