import type { PauseState } from './contract.js';
import type { ChunkRange } from './shard-tree.js';

/** The input of `batchShard`: the chunks to process, and the data that their activities need. */
export interface ShardInput {
  batchId: string;
  batchNumber: number;
  operation: string;
  /** Identifies the attempt in the store. */
  attemptId: number;
  /** 1 for the first attempt of the batch, 2 for the first retry. */
  attempt: number;
  range: ChunkRange;
  pauseState: PauseState;
}

/** The type of the workflow `batchShard`, which a shard starts for each child. */
export type ShardWorkflow = (input: ShardInput) => Promise<void>;

/** Validates the raw argument of a signal, because any client can send the signal. */
export const isPauseState = (value: unknown): value is PauseState =>
  hasFields(value, { sequence: 'number', paused: 'boolean' });

/** Validates the raw input of a shard, because any client can start a shard. */
export const isShardInput = (value: unknown): value is ShardInput =>
  hasFields(value, {
    batchId: 'string',
    batchNumber: 'number',
    operation: 'string',
    attemptId: 'number',
    attempt: 'number',
  }) &&
  Object.keys(value).length === SHARD_INPUT_FIELD_COUNT &&
  hasFields(value['range'], { first: 'number', count: 'number' }) &&
  isPauseState(value['pauseState']);

/** A shard passes its input on to its children unchanged, so unknown fields are not allowed. */
const SHARD_INPUT_FIELD_COUNT = 7;

/** Maximum length of an id or a name, in UTF-16 code units. The schemas have the same limit. */
const MAX_TEXT_LENGTH = 64;

function hasFields(value: unknown, types: Record<string, string>): value is Record<string, unknown> {
  const fields = value as Record<string, unknown> | null | undefined;
  return Object.entries(types).every(([name, type]) => {
    const field = fields?.[name];
    return typeof field === type && (typeof field !== 'string' || field.length <= MAX_TEXT_LENGTH);
  });
}
