import type { UpdateDefinition } from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  setDefaultSignalHandler,
  setDefaultUpdateHandler,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { CartInput, CartView } from '../../schemas/cart.js';
import { rejectionFailure } from '../shared/failures.js';
import { cartQuery, CHANGE_KINDS, CART_UPDATES } from './contract.js';
import { CartEntity, toChange } from './entity.js';

/** The common type of all cart updates. Each handler validates its own argument. */
type ChangeUpdate = UpdateDefinition<CartView, [unknown]>;

/**
 * One shopping cart. Applies changes one at a time, sends a reminder when the cart is idle, and ends when the cart
 * expires, is abandoned or becomes an order. Continue-as-new keeps its history bounded and passes on the whole state.
 *
 * Completes with the cart's last view. Invalid input fails with `InvalidInput` and the list of problems.
 */
export async function cart(input: CartInput): Promise<CartView> {
  const entity = new CartEntity(input);
  let handledInThisRun = 0;
  let isFull = false;

  const opened = entity.open();
  registerHandlers();
  await opened;
  try {
    await live();
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(async () => {
      await entity.abandonAfterCancellation();
      await condition(allHandlersFinished);
    });
    if (!entity.hasBecomeOrder) throw error;
  }
  return entity.view();

  /** Applies changes until the cart is closed. */
  async function live(): Promise<void> {
    while (entity.isOpen) {
      noteFullness();
      const wakeAt = entity.dueAt();
      const isAwake = () => !entity.isOpen || isFull || entity.dueAt() < wakeAt;
      await condition(isAwake, Math.max(wakeAt - Date.now(), 1), { summary: entity.timerSummary() });
      if (entity.isOpen && isFull) {
        await condition(allHandlersFinished);
        if (entity.isOpen) await continueAsNew<typeof cart>(entity.nextRunInput);
      }
      if (entity.isOpen && Date.now() >= entity.dueAt()) await entity.runDueStep();
    }
    await condition(allHandlersFinished);
  }

  function registerHandlers(): void {
    // The SDK delivers requests that arrive before their handlers grouped by kind. Only default handlers receive them
    // in order.
    setDefaultSignalHandler((name, argument) => counted(() => entity.applySignal(name, argument)));
    setDefaultUpdateHandler(async (name, argument) => {
      assertAccepted(name, argument);
      return await counted(() => entity.applyUpdate(toChange(name, argument)));
    });
    setDefaultUpdateHandler(undefined);
    for (const kind of CHANGE_KINDS) {
      setHandler(
        CART_UPDATES[kind] as ChangeUpdate,
        (argument: unknown) => counted(() => entity.applyUpdate(toChange(kind, argument))),
        { validator: (argument: unknown) => assertAccepted(kind, argument) },
      );
    }
    setHandler(cartQuery, () => entity.view());
  }

  function assertAccepted(name: string, argument: unknown): void {
    const rejection = entity.rejectionOf(name, argument);
    if (rejection) throw rejectionFailure(rejection);
  }

  async function counted<T>(handle: () => Promise<T>): Promise<T> {
    handledInThisRun += 1;
    noteFullness();
    try {
      return await handle();
    } finally {
      noteFullness();
    }
  }

  /**
   * Call only after a history event. A rejected update starts a workflow task and lengthens the history, but leaves no
   * event for a replay. A `condition` that checked the history length there would not replay.
   */
  function noteFullness(): void {
    isFull ||= isHistoryFull();
  }

  /**
   * A run handles at least one request, because a threshold below the events of a start would continue as new forever.
   */
  function isHistoryFull(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return continueAsNewSuggested || (handledInThisRun > 0 && historyLength >= entity.maxEvents);
  }
}
