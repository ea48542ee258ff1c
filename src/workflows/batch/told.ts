import type { Pace } from './contract.js';
import type { Range } from './plan.js';

/** What a workflow of a batch works on. */
export interface ShardInput {
  batchId: string;
  number: number;
  operation: string;
  roundId: number;
  round: number;
  range: Range;
  pace: Pace;
}

/** Whether an argument that may come from anywhere is what a parent tells. */
export const isPace = (value: unknown): value is Pace => hasFields(value, { sequence: 'number', paused: 'boolean' });

export const isShardInput = (value: unknown): value is ShardInput =>
  hasFields(value, { batchId: 'string', number: 'number', operation: 'string', roundId: 'number', round: 'number' }) &&
  Object.keys(value).length === SHARD_FIELDS &&
  hasFields(value['range'], { first: 'number', count: 'number' }) &&
  isPace(value['pace']);

/** A shard hands its input to its children as it is, so it takes no further fields. */
const SHARD_FIELDS = 7;

/** Of an id or a name, in UTF-16 code units; the schemas allow no longer ones. */
const MAX_TEXT = 64;

function hasFields(value: unknown, types: Record<string, string>): value is Record<string, unknown> {
  const fields = value as Record<string, unknown> | null | undefined;
  return Object.entries(types).every(([name, type]) => {
    const field = fields?.[name];
    return typeof field === type && (typeof field !== 'string' || field.length <= MAX_TEXT);
  });
}
