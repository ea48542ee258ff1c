/** Maximum number of rows that one statement deletes. A larger statement could exceed the statement timeout. */
const ROWS_PER_STATEMENT = 5_000;

/**
 * Deletes rows with one statement per chunk, until a statement deletes fewer rows than its limit.
 *
 * @param deleteChunk deletes at most `limit` rows and returns their number.
 * @returns the number of deleted rows.
 */
export async function deleteInChunks(
  deleteChunk: (limit: number) => Promise<bigint>,
  cancellation?: AbortSignal,
): Promise<number> {
  for (let total = 0; ;) {
    cancellation?.throwIfAborted();
    const deletedCount = Number(await deleteChunk(ROWS_PER_STATEMENT));
    total += deletedCount;
    if (deletedCount < ROWS_PER_STATEMENT) return total;
  }
}
