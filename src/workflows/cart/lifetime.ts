import { TemporalFailure } from '@temporalio/common';
import { allHandlersFinished, CancellationScope, condition, log } from '@temporalio/workflow';
import type { CartStatus } from '../../schemas/cart.js';
import { reasonOf } from '../shared/failures.js';
import { CHANGE_DEADLINE_MS, runStoreActivity } from './activities.js';
import type { CartState } from './state.js';

/** Delay before a reminder or an expiry is retried after the store failed. */
const STORE_RETRY_DELAY_MS = 60_000;

/**
 * Sends the reminder or expires the cart, depending on what is due. If the store fails, retries later. A cancellation of
 * the workflow takes effect afterwards. Otherwise the cart would be closed as abandoned while its expiry is recorded.
 */
export async function remindOrExpire(state: CartState): Promise<void> {
  await CancellationScope.nonCancellable(() =>
    state.mutex.run(async () => {
      if (!state.isOpen || !state.isDue) return;
      const isReminder = Date.now() < state.expiresAt;
      try {
        await (isReminder ? remind(state) : expire(state));
        state.resolveProblem();
      } catch (error) {
        if (!(error instanceof TemporalFailure)) throw error;
        const { type, message } = reasonOf(error);
        log.warn('the store did not accept a notification', { type, message });
        state.retryLater(
          `${isReminder ? 'the reminder' : 'the expiry'} waits for the store (${type})`,
          STORE_RETRY_DELAY_MS,
        );
      }
    }),
  );
}

async function remind(state: CartState): Promise<void> {
  if (state.content.lines.length > 0) {
    const message = {
      key: notificationKey(state, 'cart_reminder'),
      cartId: state.cartId,
      kind: 'cart_reminder' as const,
    };
    await runStoreActivity('Remind the customer', Date.now() + CHANGE_DEADLINE_MS, ({ notifyCustomer }) =>
      notifyCustomer(message),
    );
    state.onReminded();
  }
  state.onReminderPassed();
}

async function expire(state: CartState): Promise<void> {
  const key = state.content.lines.length > 0 ? notificationKey(state, 'cart_expired') : undefined;
  await recordClosed(state, { status: 'expired', summary: 'Expire the cart', notificationKey: key });
  state.close('expired');
}

/** Closes a cart whose workflow was cancelled, after all accepted changes. */
export async function abandonAfterCancellation(state: CartState): Promise<void> {
  await state.mutex.run(async () => {
    if (!state.isOpen) return;
    // A failure is ignored, because lists reconcile the status later.
    await recordClosed(state, { status: 'abandoned', summary: 'Record the cancellation' }).catch(ignoreFailure);
    state.close('abandoned');
  });
  await condition(allHandlersFinished);
}

interface Closing {
  status: Exclude<CartStatus, 'open'>;
  /** The summary of the activity in the Web UI. */
  summary: string;
  /** Deadline of the store activity, in milliseconds since the epoch. */
  deadline?: number;
  /** The customer gets one notification per key. Without a key, the customer gets no notification. */
  notificationKey?: string | undefined;
}

/** Records in the store that the cart closed. Skips a cart without changes, because the store has no record of it. */
export async function recordClosed(
  state: CartState,
  { status, summary, deadline = Date.now() + CHANGE_DEADLINE_MS, notificationKey }: Closing,
): Promise<void> {
  if (!state.content.hasChanged && notificationKey === undefined) return;
  const closing = { cart: state.key, status, ...(notificationKey !== undefined && { notificationKey }) };
  await runStoreActivity(summary, deadline, ({ closeCart }) => closeCart(closing));
}

/**
 * Returns a key with the idempotency key of the last change, or else with the time of that change. When a reset applies
 * the change again, the idempotency key is the same but the time is different.
 */
function notificationKey({ firstRunId, content }: CartState, kind: string): string {
  return `${firstRunId}:${kind}:${content.lastIdempotencyKey ?? content.lastChangeAt}`;
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof TemporalFailure)) throw error;
}
