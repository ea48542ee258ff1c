import { Context } from '@temporalio/activity';

/** At most half the heartbeat timeout of the workflows. An activity learns of a cancellation by its heartbeat, so this bounds the delay. */
const HEARTBEAT_INTERVAL_MS = 1_000;

/**
 * Sends heartbeats while `work` runs, so that the activity learns of a cancellation. Each heartbeat carries the result of
 * `progress`.
 *
 * @throws the cancellation if there was one, whatever error `work` throws.
 */
export async function withHeartbeat<T>(
  work: (cancellation: AbortSignal) => Promise<T>,
  progress?: () => unknown,
): Promise<T> {
  const context = Context.current();
  const timer = setInterval(() => context.heartbeat(progress?.()), HEARTBEAT_INTERVAL_MS);
  try {
    return await work(context.cancellationSignal);
  } catch (error) {
    throw context.cancellationSignal.aborted ? context.cancellationSignal.reason : error;
  } finally {
    clearInterval(timer);
  }
}
