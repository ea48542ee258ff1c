// The tree of shards that processes a batch: how many chunks and children a shard has, and how its children start.

/**
 * Maximum number of chunks and of children per workflow. A batch of one million chunks has 1,000 children with 1,000
 * chunks each. A child writes about 3,400 events (0.9 MB), and its parent writes about 12 events per child. A test
 * asserts that both histories stay below Temporal's limits (51,200 events, 50 MB).
 */
export const MAX_CHUNKS = 1_000;
export const MAX_CHILDREN = 1_000;

/**
 * Maximum number of open chunks and of open children. Temporal allows 2,000 of each. These numbers keep the workers
 * busy while the next chunk is scheduled.
 */
export const CONCURRENT_CHUNKS = 20;
export const CONCURRENT_CHILDREN = 10;

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
 * A shard starts a child again while the id of the child is in use. This is the maximum number of starts. All of them
 * together take more than twelve minutes.
 */
export const MAX_CHILD_STARTS = 17;

/** Returns the delay in ms before a child is started again, after it was started `starts` times. */
export function childStartDelayMs(starts: number): number {
  return Math.min(2 ** starts, 60) * 1000;
}
