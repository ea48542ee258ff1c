import { Context } from '@temporalio/activity';

/**
 * Must be at most half the heartbeat timeout that the workflows set. An activity learns of a cancellation with its next
 * heartbeat, after at most this interval.
 */
const HEARTBEAT_INTERVAL_MS = 1_000;

/**
 * Sends heartbeats while `work` runs, so that the activity receives cancellations. Each heartbeat carries the result of
 * `progress`.
 *
 * @throws the cancellation if the activity was cancelled, otherwise the error of `work`.
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
