/** Returns a signal that aborts after `ms` milliseconds, or earlier when one of `signals` aborts. */
export function timeoutSignal(ms: number, ...signals: AbortSignal[]): AbortSignal {
  const limit = AbortSignal.timeout(ms);
  // Node 20 can garbage-collect a timeout signal that only `AbortSignal.any` references (nodejs/node#57736).
  limit.addEventListener('abort', () => undefined);
  return AbortSignal.any([...signals, limit]);
}
