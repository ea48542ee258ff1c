import type { Pace } from './contract.js';
import type { Range } from './plan.js';

/** The input of a shard. */
export interface ShardInput {
  batchId: string;
  number: number;
  operation: string;
  roundId: number;
  round: number;
  range: Range;
  pace: Pace;
}

/** Validates a raw signal argument, which any client could have sent. */
export const isPace = (value: unknown): value is Pace => hasFields(value, { sequence: 'number', paused: 'boolean' });

export const isShardInput = (value: unknown): value is ShardInput =>
  hasFields(value, { batchId: 'string', number: 'number', operation: 'string', roundId: 'number', round: 'number' }) &&
  Object.keys(value).length === SHARD_FIELDS &&
  hasFields(value['range'], { first: 'number', count: 'number' }) &&
  isPace(value['pace']);

/** A shard passes its input on to its children unchanged, so further fields are not allowed. */
const SHARD_FIELDS = 7;

/** Maximum length of an id or name in UTF-16 code units, as in the schemas. */
const MAX_TEXT = 64;

function hasFields(value: unknown, types: Record<string, string>): value is Record<string, unknown> {
  const fields = value as Record<string, unknown> | null | undefined;
  return Object.entries(types).every(([name, type]) => {
    const field = fields?.[name];
    return typeof field === type && (typeof field !== 'string' || field.length <= MAX_TEXT);
  });
}
