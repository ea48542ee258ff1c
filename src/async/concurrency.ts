/**
 * Calls `run` with 0 to `count - 1` in order, with at most `limit` calls at a time. Starts no further call after a
 * failure.
 *
 * @throws the first failure, after all started calls have ended.
 */
export async function runConcurrently(count: number, limit: number, run: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | undefined;
  async function runJobs(): Promise<void> {
    while (next < count && !failure) {
      try {
        await run(next++);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, count) }, runJobs));
  if (failure) throw failure.error;
}
