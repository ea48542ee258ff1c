import { createHash } from 'node:crypto';

/** SHA-256 of a JSON value in hexadecimal. The order of object keys does not matter. */
export function contentHashOf(content: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(content, (_key, value: unknown) => (isRecord(value) ? sorted(value) : value)))
    .digest('hex');
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sorted = (record: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1)));
