import { TemporalFailure } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  makeContinueAsNewFunc,
  isCancellation,
  workflowInfo,
} from '@temporalio/workflow';
import type { CartInput, CartView } from '../../schemas/cart.js';
import { rootFailure } from '../shared/failures.js';
import { openCart } from './activities.js';
import { registerHandlers } from './handlers.js';
import { abandonAfterCancellation, remindOrExpire } from './lifetime.js';
import { CartState } from './state.js';

/**
 * Runs one shopping cart. Applies changes one at a time, sends a reminder when the cart is idle, and ends when the cart
 * expires, is abandoned or becomes an order. Continue-as-new limits the size of the history and passes the complete
 * content to the next run.
 *
 * Completes with the cart's last view. Invalid input fails with `InvalidInput` and the list of problems.
 */
export async function cart(input: CartInput): Promise<CartView> {
  const state = new CartState(input);
  const opened = open(state);
  registerHandlers(state);
  await opened;
  try {
    await runUntilClosed(state);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(() => abandonAfterCancellation(state));
    if (!state.hasBecomeOrder) throw error;
  }
  return state.viewWithChanges;
}

/** Sends the reminder and expires the cart. At the same time, the handlers apply changes and check the cart out. */
async function runUntilClosed(state: CartState): Promise<void> {
  while (state.isOpen) {
    await waitForChangeOrTimer(state);
    if (state.isOpen && state.mustContinueAsNew) await continueWithEmptyHistory(state);
    if (state.isOpen && state.isDue) await remindOrExpire(state);
  }
  await condition(allHandlersFinished);
}

/**
 * Parses the input. Takes the mutex first, so that changes that arrive with the start wait until the cart is open.
 *
 * @throws `InvalidInput`. Waiting changes then fail with the same failure.
 */
async function open(state: CartState): Promise<void> {
  await state.mutex.run(async () => {
    try {
      if (!isContinuedRun()) await openCart(state.input, state.cartId);
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      state.openFailure = rootFailure(error);
      throw state.openFailure;
    }
    state.open();
  });
}

/**
 * Whether continue-as-new started this run, so that the previous run wrote the input. A workflow retry and a cron run
 * get the original input.
 */
function isContinuedRun(): boolean {
  const { continuedFromExecutionRunId, attempt, cronSchedule } = workflowInfo();
  return continuedFromExecutionRunId !== undefined && attempt === 1 && !cronSchedule;
}

/**
 * Waits until the cart closes, must continue as new, a change moves the next timer to an earlier time, or the timer
 * fires.
 */
async function waitForChangeOrTimer(state: CartState): Promise<void> {
  state.checkContinueAsNew();
  const { dueAt } = state;
  const isAwake = () => !state.isOpen || state.mustContinueAsNew || state.dueAt < dueAt;
  await condition(isAwake, Math.max(dueAt - Date.now(), 1), { summary: state.timerSummary });
}

/**
 * Continues as new after all accepted changes are applied. Does nothing if one of these changes closes the cart. If
 * workers have versions, the new run starts on the current version instead of the version of this run.
 */
async function continueWithEmptyHistory(state: CartState): Promise<void> {
  await condition(allHandlersFinished);
  if (!state.isOpen) return;
  const continueOnCurrentVersion = makeContinueAsNewFunc<typeof cart>({ initialVersioningBehavior: 'AUTO_UPGRADE' });
  await continueOnCurrentVersion(state.nextRunInput);
}
