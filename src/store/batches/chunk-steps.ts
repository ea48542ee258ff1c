/** Limits of one statement. A chunk can have thousands of items, and a larger statement could exceed the timeout. */
const MAX_CHUNKS_PER_STATEMENT = 500;
const MAX_ITEMS_PER_STATEMENT = 50_000;

interface ChunkRange {
  /** Number of chunks, from chunk 0. */
  chunkCount: number;
  itemsPerChunk: number;
}

/**
 * Changes the chunks of an attempt step by step. One statement can change the chunks of a step within the statement
 * timeout.
 *
 * @param change changes `count` chunks from the chunk with the index `first`.
 */
export async function changeChunksInSteps(
  { chunkCount, itemsPerChunk }: ChunkRange,
  change: (first: number, count: number) => Promise<unknown>,
  cancellation?: AbortSignal,
): Promise<void> {
  const count = Math.min(MAX_CHUNKS_PER_STATEMENT, Math.max(1, Math.floor(MAX_ITEMS_PER_STATEMENT / itemsPerChunk)));
  for (let first = 0; first < chunkCount; first += count) {
    cancellation?.throwIfAborted();
    await change(first, count);
  }
}
