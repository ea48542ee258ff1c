const levels: Record<number, string> = { 40: 'warn', 50: 'error', 60: 'fatal' };
const warn = 40;

/**
 * Selects the output of a child that is worth showing: log lines of level warn and above, and lines on stderr that are
 * not log lines. The log file contains everything.
 */
export function shownLine(line: string, stream: 'stdout' | 'stderr'): string | undefined {
  const entry = parse(line);
  if (!entry) return stream === 'stderr' && line.trim() ? line : undefined;
  if (typeof entry.level !== 'number' || entry.level < warn) return undefined;
  const reason = entry.err?.message ?? entry.error?.message;
  return [`${levels[entry.level] ?? entry.level}:`, entry.msg, reason && `(${reason})`].filter(Boolean).join(' ');
}

interface Entry {
  level?: unknown;
  msg?: string;
  err?: { message?: string };
  error?: { message?: string };
}

function parse(line: string): Entry | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Entry;
  } catch {
    return undefined;
  }
}
