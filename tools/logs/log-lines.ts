import { levelName, parseLogEntry } from '../stack/log-entries.js';

/** A line of a log file, parsed. */
export interface LogLine {
  /** The name of the process, for example `worker`. */
  process: string;
  time: Date;
  level: string;
  message: string;
  /** All other fields. */
  fields: Record<string, unknown>;
}

/** Fields that say nothing about one workflow. */
const OMITTED_FIELDS = new Set(['service', 'pid', 'hostname', 'sdkComponent', 'reqId', 'namespace']);

const MAX_VALUE_LENGTH = 200;

/**
 * Returns the lines that contain the id, and the other lines of the same HTTP requests, in the sequence of their times.
 *
 * @param logs the text of each log file by the name of its process.
 * @param id a workflow id such as `order:42`, or the part after the colon.
 */
export function findLogLines(logs: ReadonlyMap<string, string>, id: string): LogLine[] {
  const lines = [...logs].flatMap(([process, text]) => parseLog(process, text));
  const businessId = id.slice(id.indexOf(':') + 1);
  const pattern = new RegExp(`(?<![\\w-])${escapePattern(businessId)}(?![\\w-])`);
  const contains = ({ message, fields }: LogLine) => pattern.test(message) || pattern.test(JSON.stringify(fields));
  const requests = new Set(lines.filter(contains).map(({ fields }) => fields['reqId']));
  requests.delete(undefined);
  return lines
    .filter((line) => contains(line) || requests.has(line.fields['reqId']))
    .sort((one, two) => one.time.getTime() - two.time.getTime());
}

function parseLog(process: string, text: string): LogLine[] {
  return text.split('\n').flatMap((line) => {
    const entry = parseLogEntry(line);
    if (!entry || !('time' in entry && 'level' in entry)) return [];
    const { time, level, msg, ...fields } = entry;
    return [
      {
        process,
        time: new Date(time as string | number),
        level: levelName(level),
        message: typeof msg === 'string' ? msg : '',
        fields,
      },
    ];
  });
}

/** Formats a line as time, process, level, message and fields: `12:00:00.000 worker info charged orderId=42`. */
export function formatLogLine({ process, time, level, message, fields }: LogLine): string {
  const shown = Object.entries(fields).filter(([name]) => !OMITTED_FIELDS.has(name));
  const text = shown.map(([name, value]) => `${name}=${formatValue(value)}`).join(' ');
  const clock = time.toISOString().slice(11, 23);
  return `${clock} ${process.padEnd(8)} ${level.padEnd(5)} ${message} ${text}`.trimEnd();
}

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH)}…` : text;
}

const escapePattern = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
