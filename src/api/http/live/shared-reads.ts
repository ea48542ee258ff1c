/**
 * Creates a function that shares reads: while the result of a key is younger than `maxAgeMs`, all callers get this
 * result. Any number of viewers who poll the same key therefore cost one read per `maxAgeMs`. Failures are shared too.
 */
export function createSharedReads(maxAgeMs: number) {
  const results = new Map<string, Promise<unknown>>();
  return async <T>(key: string, read: () => Promise<T>): Promise<T> => {
    const shared = results.get(key);
    if (shared) return (await shared) as T;
    const result = read();
    results.set(key, result);
    const forget = () => setTimeout(() => results.delete(key), maxAgeMs).unref();
    result.then(forget, forget);
    return await result;
  };
}
