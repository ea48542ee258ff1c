/** Runs `count` jobs, at most `width` at a time. @throws the first failure, after all started jobs have ended. */
export async function runConcurrently(count: number, width: number, run: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  let failure: { error: unknown } | undefined;
  async function lane(): Promise<void> {
    while (next < count && !failure) {
      try {
        await run(next++);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, count) }, lane));
  if (failure) throw failure.error;
}
