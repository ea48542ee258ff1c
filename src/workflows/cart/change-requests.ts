import { TemporalFailure } from '@temporalio/common';
import { CancellationScope, log } from '@temporalio/workflow';
import type { CartView } from '../../schemas/cart.js';
import { reasonOf, throwIfRejected } from '../shared/failures.js';
import { CHANGE_DEADLINE_MS, runStoreActivity } from './activities.js';
import { isChangeKind, validateChange } from './argument-validation.js';
import {
  changeRejectionOf,
  checkLedger,
  quantityAfter,
  toChange,
  type Change,
  type ChangeRejection,
} from './changes.js';
import { checkOut } from './checkout.js';
import { CHANGE_KINDS } from './contract.js';
import { recordClosed } from './lifetime.js';
import { now, type CartState } from './state.js';

/** Returns why a request is rejected when it arrives. An update that its validator rejects writes no event. */
export function arrivalRejectionOf(state: CartState, name: string, argument: unknown): ChangeRejection | undefined {
  if (!isChangeKind(name)) return { type: 'InvalidInput', message: `a cart accepts only ${CHANGE_KINDS.join(', ')}` };
  const problem = validateChange(name, argument);
  if (problem) return problem;
  const change = toChange(name, argument);
  if (change.caller !== undefined && change.caller !== readCustomerId(state.input)) {
    return { type: 'NotTheOwner', message: 'the cart belongs to another customer' };
  }
  if (checkLedger(state.content, change) === 'repeated') return undefined;
  return (
    state.admissionRejectionOf(change) ?? (state.mutex.isIdle ? changeRejectionOf(state.content, change) : undefined)
  );
}

/** Reads the customer id from the raw input. */
const readCustomerId = (input: unknown): unknown => (input as { customerId?: unknown } | null | undefined)?.customerId;

/**
 * Applies an update once, even if it is repeated.
 *
 * @throws the rejection of the change, after at most `CHANGE_DEADLINE_MS`.
 */
export async function applyUpdate(state: CartState, change: Change): Promise<CartView> {
  const deadline = Date.now() + CHANGE_DEADLINE_MS;
  return await runExclusive(state, () => applyOnce(state, change, deadline));
}

/**
 * Applies a signal once. The deadline starts when the change is next in the queue, because no caller waits for a
 * response. A rejection is only logged.
 */
export async function applySignal(state: CartState, name: string, argument: unknown): Promise<void> {
  const rejection = arrivalRejectionOf(state, name, argument);
  if (rejection) {
    log.warn('ignored a signal', { ...rejection });
    return;
  }
  try {
    await runExclusive(state, () => applyOnce(state, toChange(name, argument), Date.now() + CHANGE_DEADLINE_MS));
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    log.warn('rejected a signal', { ...reasonOf(error) });
  }
}

/**
 * Runs `work` after all earlier changes. The scope is non-cancellable, so a cancellation of the workflow does not
 * interrupt accepted changes or the start of the order.
 */
async function runExclusive<T>({ mutex }: CartState, work: () => Promise<T>): Promise<T> {
  return await CancellationScope.nonCancellable(() => mutex.run(work));
}

async function applyOnce(state: CartState, change: Change, deadline: number): Promise<CartView> {
  if (state.openFailure) throw state.openFailure;
  if (checkLedger(state.content, change) === 'repeated') return state.view;
  try {
    throwIfRejected(state.admissionRejectionOf(change) ?? changeRejectionOf(state.content, change));
    await assertAvailable(state, change, deadline);
  } catch (error) {
    state.closeIfNeverChanged();
    throw error;
  }
  if (change.kind === 'checkout') state.orderId = await checkOutOrRecord(state, change, deadline);
  if (change.kind === 'abandon') {
    await recordClosed(state, { status: 'abandoned', summary: 'Record that it was abandoned', deadline });
  }
  state.apply(change);
  return state.view;
}

/** Checks out. The changes of the cart show a failure. */
async function checkOutOrRecord(
  state: CartState,
  change: Extract<Change, { kind: 'checkout' }>,
  deadline: number,
): Promise<string> {
  try {
    return await checkOut(state, change, deadline);
  } catch (error) {
    if (error instanceof TemporalFailure) state.onCheckoutFailed(change, reasonOf(error));
    throw error;
  }
}

/** Checks that the stock covers the change. @throws `UnknownSku`, `OutOfStock`, or `StoreUnavailable`. */
async function assertAvailable(state: CartState, change: Change, deadline: number): Promise<void> {
  const quantity = quantityAfter(state.content, change);
  if (quantity === undefined || !('sku' in change)) return;
  const { sku } = change;
  const check = { cart: state.key, sku, quantity, at: now() };
  await runStoreActivity(`Check ${quantity} x ${sku}`, deadline, ({ checkItem }) => checkItem(check));
}
