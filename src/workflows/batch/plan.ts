import { MAX_CHILDREN, MAX_CHUNKS } from './contract.js';

/** The chunks with the indexes `first` to `first + count - 1`. */
export interface ChunkRange {
  first: number;
  count: number;
}

/**
 * Divides the chunks of a workflow among children. Returns an empty list if the workflow can process all chunks itself.
 * Every child except the last gets the same number of chunks: 1,000, or 1,000 x 1,000, and so on.
 */
export function divideAmongChildren({ first, count }: ChunkRange): ChunkRange[] {
  if (count <= MAX_CHUNKS) return [];
  let size = MAX_CHUNKS;
  while (Math.ceil(count / size) > MAX_CHILDREN) size *= MAX_CHILDREN;
  return Array.from({ length: Math.ceil(count / size) }, (_, n) => ({
    first: first + n * size,
    count: Math.min(size, count - n * size),
  }));
}

/**
 * Returns the workflow id of child `n`. A retry uses new ids, because the children of a terminated execution may still
 * be running.
 */
export function childWorkflowId(parentId: string, n: number, attempt: number): string {
  return attempt === 1 || parentId.includes('/') ? `${parentId}/${n}` : `${parentId}/${n}.${attempt}`;
}

/**
 * Maximum number of attempts to start a child whose id is still in use. All attempts together take more than twelve
 * minutes.
 */
export const MAX_CHILD_START_ATTEMPTS = 17;

/** Returns the delay in ms before the next attempt to start a child. */
export function childStartDelayMs(attempts: number): number {
  return Math.min(2 ** attempts, 60) * 1000;
}

const MIN_POLL_INTERVAL_MS = 2_000;
const POLL_INTERVAL_SHARE = 1 / 25;

/**
 * Returns the delay in ms before the next poll of the progress: 4 % of the running time, but at least two seconds. A
 * poll writes at most eleven events, so a batch that runs for a day writes about 2,400 events for polls.
 */
export function pollDelayMs(elapsedMs: number): number {
  return Math.max(MIN_POLL_INTERVAL_MS, elapsedMs * POLL_INTERVAL_SHARE);
}
