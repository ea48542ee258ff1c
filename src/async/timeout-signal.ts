/** A signal that aborts when one of `signals` does, and after `ms` milliseconds at the latest. */
export function timeoutSignal(ms: number, ...signals: AbortSignal[]): AbortSignal {
  const limit = AbortSignal.timeout(ms);
  // Node 20 can garbage-collect a timeout signal that only `AbortSignal.any` references (nodejs/node#57736).
  limit.addEventListener('abort', () => undefined);
  return AbortSignal.any([...signals, limit]);
}
