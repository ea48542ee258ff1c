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
import { refused } from '../shared/failures.js';
import { cartQuery, CHANGES, UPDATES } from './contract.js';
import { CartEntity, toChange } from './entity.js';

/** All updates of a cart have this shape; each handler checks its own argument. */
type ChangeUpdate = UpdateDefinition<CartView, [unknown]>;

/**
 * One shopping cart, for its whole life: takes changes one after the other, reminds its customer when it is idle, expires,
 * or becomes an order. Its history stays bounded: a run hands the whole state over to the next one.
 *
 * Completes with the cart's last view. Input that does not parse fails as `InvalidInput` with the list of problems.
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
      await entity.giveUp();
      await condition(allHandlersFinished);
    });
    if (!entity.becameOrder) throw error;
  }
  return entity.view();

  /** Takes changes until the cart is closed. */
  async function live(): Promise<void> {
    while (entity.isOpen) {
      noteFullness();
      const wakeAt = entity.dueAt();
      const isAwake = () => !entity.isOpen || isFull || entity.dueAt() < wakeAt;
      await condition(isAwake, Math.max(wakeAt - Date.now(), 1), { summary: entity.dueStep() });
      if (entity.isOpen && isFull) {
        await condition(allHandlersFinished);
        if (entity.isOpen) await continueAsNew<typeof cart>(entity.handover);
      }
      if (entity.isOpen && Date.now() >= entity.dueAt()) await entity.beIdle();
    }
    await condition(allHandlersFinished);
  }

  function registerHandlers(): void {
    // Requests that arrive before their handlers are dealt out by kind; only default handlers get them in their order.
    setDefaultSignalHandler((name, argument) => counted(() => entity.takeSignal(name, argument)));
    setDefaultUpdateHandler(async (name, argument) => {
      assertAccepted(name, argument);
      return await counted(() => entity.takeUpdate(toChange(name, argument)));
    });
    setDefaultUpdateHandler(undefined);
    for (const kind of CHANGES) {
      setHandler(
        UPDATES[kind] as ChangeUpdate,
        (argument: unknown) => counted(() => entity.takeUpdate(toChange(kind, argument))),
        { validator: (argument: unknown) => assertAccepted(kind, argument) },
      );
    }
    setHandler(cartQuery, () => entity.view());
  }

  function assertAccepted(name: string, argument: unknown): void {
    const rejection = entity.rejectionOf(name, argument);
    if (rejection) throw refused(rejection);
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
   * Called only where an event in the history has led to. A rejected update also starts a workflow task and makes the
   * history longer, but leaves no event that a replay would come by: a `condition` that looks there would not replay.
   */
  function noteFullness(): void {
    isFull ||= isHistoryFull();
  }

  /** A threshold below the events of a start would never end, so a run handles a request before it hands over. */
  function isHistoryFull(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return continueAsNewSuggested || (handledInThisRun > 0 && historyLength >= entity.maxEvents);
  }
}
