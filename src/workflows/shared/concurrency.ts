/**
 * Runs jobs 0 to `count - 1`, at most `limit` at a time, in order. Starts no further job after a failure.
 *
 * @throws the first failure, after all started jobs have ended.
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
