import { createHash } from 'node:crypto';

/** Returns the SHA-256 hash of a JSON value in hexadecimal. The order of object keys does not change the hash. */
export function hashContent(content: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(content, (_key, value: unknown) => (isRecord(value) ? sortKeys(value) : value)))
    .digest('hex');
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sortKeys = (record: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(record).sort(([one], [other]) => (one < other ? -1 : 1)));
