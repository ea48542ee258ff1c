/**
 * Waits for a promise, but at most `timeoutMs`. The promise itself continues after the timeout.
 *
 * @returns the result of the promise, or after the timeout the result of `onTimeout`.
 *
 * @throws what the promise or `onTimeout` throws.
 */
export async function withTimeout<T, U>(promise: Promise<T>, timeoutMs: number, onTimeout: () => U): Promise<T | U> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, timeoutMs);
  });
  try {
    return await Promise.race([promise, timeout.then(onTimeout)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for a promise until a signal aborts. The promise itself continues after that.
 *
 * @throws what the promise throws, or the reason of the signal.
 */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const ended = new AbortController();
  const aborted = new Promise<never>((_resolve, reject) => {
    const rejectWithReason = () => reject(signal.reason as Error);
    if (signal.aborted) rejectWithReason();
    else signal.addEventListener('abort', rejectWithReason, { signal: ended.signal });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    ended.abort();
  }
}

/**
 * Like `Promise.all`, but rejects only after all promises have settled. Use it when the caller closes a resource that
 * the promises still need.
 */
export async function waitForAll<T extends readonly unknown[]>(
  promises: [...T],
): Promise<{ -readonly [I in keyof T]: Awaited<T[I]> }> {
  await Promise.allSettled(promises);
  return await Promise.all(promises);
}

/** Runs one action after another, also after one has failed. @throws the first failure, after all have run. */
export async function runInOrder(actions: readonly (() => Promise<unknown>)[]): Promise<void> {
  let failure: { error: unknown } | undefined;
  for (const run of actions) {
    try {
      await run();
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure) throw failure.error;
}
