import type { UpdateDefinition } from '@temporalio/common';
import { setDefaultSignalHandler, setDefaultUpdateHandler, setHandler } from '@temporalio/workflow';
import type { CartView } from '../../schemas/cart.js';
import { throwIfRejected } from '../shared/failures.js';
import { applySignal, applyUpdate, arrivalRejectionOf } from './change-requests.js';
import { toChange } from './changes.js';
import { CART_UPDATES, cartQuery, CHANGE_KINDS } from './contract.js';
import type { CartState } from './state.js';

/** The common type of all cart updates. Each handler validates its own argument. */
type ChangeUpdate = UpdateDefinition<CartView, [unknown]>;

/** Registers the query handler, and an update handler and a signal handler for each kind of change. */
export function registerHandlers(state: CartState): void {
  // The SDK buffers requests that arrive before their handlers are registered, and delivers them grouped by kind. Only
  // default handlers receive them in the order of arrival.
  setDefaultSignalHandler((name, argument) => trackHistory(() => applySignal(state, name, argument)));
  setDefaultUpdateHandler(async (name, argument) => {
    throwIfRejected(arrivalRejectionOf(state, name, argument));
    return await trackHistory(() => applyUpdate(state, toChange(name, argument)));
  });
  setDefaultUpdateHandler(undefined);
  for (const kind of CHANGE_KINDS) {
    setHandler(
      CART_UPDATES[kind] as ChangeUpdate,
      (argument: unknown) => trackHistory(() => applyUpdate(state, toChange(kind, argument))),
      { validator: (argument: unknown) => throwIfRejected(arrivalRejectionOf(state, kind, argument)) },
    );
  }
  setHandler(cartQuery, () => state.viewWithChanges);

  async function trackHistory<T>(handle: () => Promise<T>): Promise<T> {
    state.countHandledRequest();
    state.checkContinueAsNew();
    try {
      return await handle();
    } finally {
      state.checkContinueAsNew();
    }
  }
}
