import { ApplicationFailure, TemporalFailure } from '@temporalio/common';
import { isCancellation, proxyActivities, type ActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../../failures/rejections.js';
import { rootFailure } from '../shared/failures.js';

/**
 * Time limit of a cart change. It is shorter than the API's limit of eight seconds, so that callers get a failure that
 * names the cause.
 */
export const CHANGE_DEADLINE_MS = 6_000;

const retryOptions = {
  initialInterval: '100 milliseconds' as const,
  backoffCoefficient: 2,
  maximumInterval: '1 second' as const,
  nonRetryableErrorTypes: NON_RETRYABLE_ERROR_TYPES,
} satisfies ActivityOptions['retry'];

/**
 * Makes no external call, so it fails only when a worker is lost. Retries forever, because every cart must be opened.
 */
export const { openCart } = proxyActivities<Activities>({
  summary: 'Parse the input',
  startToCloseTimeout: '2 seconds',
  retry: retryOptions,
});

type StoreActivities = Pick<Activities, 'checkItem' | 'claimCartOrder' | 'notifyCustomer' | 'closeCart'>;

/**
 * Runs a store activity that must end before `deadline` (milliseconds since the epoch). The deadline is necessary,
 * because a caller waits for the response and other changes wait in the queue.
 *
 * @throws the activity's rejection, or `StoreUnavailable`.
 */
export async function runStoreActivity<T>(
  summary: string,
  deadline: number,
  run: (activities: StoreActivities) => Promise<T>,
): Promise<T> {
  const remainingMs = deadline - Date.now();
  if (remainingMs <= 0) throw storeUnavailable();
  const activities = proxyActivities<StoreActivities>({
    summary,
    startToCloseTimeout: '2 seconds',
    scheduleToCloseTimeout: remainingMs,
    retry: { ...retryOptions, maximumAttempts: 5 },
  });
  try {
    return await run(activities);
  } catch (error) {
    if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
    const root = rootFailure(error);
    throw root instanceof ApplicationFailure && root.nonRetryable ? root : storeUnavailable();
  }
}

const storeUnavailable = () =>
  ApplicationFailure.create({ type: 'StoreUnavailable', message: 'the database does not respond' });
