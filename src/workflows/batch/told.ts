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
  hasFields(value['range'], { first: 'number', count: 'number' }) &&
  isPace(value['pace']);

function hasFields(value: unknown, types: Record<string, string>): value is Record<string, unknown> {
  const fields = value as Record<string, unknown> | null | undefined;
  return Object.entries(types).every(([name, type]) => typeof fields?.[name] === type);
}
