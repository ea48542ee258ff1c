import {
  ApplicationFailure,
  TemporalFailure,
  WorkflowExecutionAlreadyStartedError,
  type UpdateDefinition,
} from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  ParentClosePolicy,
  proxyActivities,
  setCurrentDetails,
  setDefaultSignalHandler,
  setDefaultUpdateHandler,
  setHandler,
  startChild,
  upsertSearchAttributes,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import type { CartInput, CartState, CartStatus, CartView, CheckoutCart } from '../../schemas/cart.js';
import type { OrderInput, OrderView } from '../../schemas/order.js';
import { customerIdAttribute, orderStatusAttribute, orderWorkflowId, ORDER_TASK_QUEUE } from '../order/contract.js';
import { isRejection, NON_RETRYABLE, reasonOf, refused, rootFailure } from '../shared/failures.js';
import { Mutex } from '../shared/mutex.js';
import {
  cartIdOf,
  cartQuery,
  CHANGES,
  DEFAULT_EXPIRE_AFTER_SECONDS,
  DEFAULT_REMIND_AFTER_SECONDS,
  UPDATES,
} from './contract.js';
import {
  apply,
  emptyCart,
  malformed,
  recall,
  refusalOf,
  wantedQuantity,
  type Change,
  type ChangeKind,
  type Refusal,
} from './state.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE];

/** A caller waits for the answer, and later requests wait for their turn: give up after some seconds. */
const options = {
  startToCloseTimeout: '2 seconds',
  retry: {
    initialInterval: '100 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '1 second',
    maximumAttempts: 5,
    nonRetryableErrorTypes,
  },
} as const;

/** Regular activities: a local one that ends beside a query can write a history that does not replay (docs/versioning.md). */
const { checkItem, notifyCustomer } = proxyActivities<Activities>(options);
/** Makes no external call, so only a lost worker can fail it. Retries for ever: a cart must not exist unopened. */
const { openCart } = proxyActivities<Activities>({
  startToCloseTimeout: '2 seconds',
  retry: { ...options.retry, maximumAttempts: Infinity },
});

/** The last one that a four-digit year can name. */
const LAST_INSTANT_MS = Date.UTC(10_000, 0) - 1;

/** How long a message that could not be left waits for its next try. */
const NOTIFY_AGAIN_MS = 60_000;

/**
 * One shopping cart, for its whole life: takes changes one after the other, reminds of itself when it is idle, expires,
 * or becomes an order. Its history stays bounded: a run hands the whole state over to the next one.
 *
 * Completes with the cart's last view. Input that does not parse fails as `InvalidInput` with the list of problems.
 */
export async function cart(input: CartInput): Promise<CartView> {
  const { workflowId, firstExecutionRunId, typedSearchAttributes } = workflowInfo();
  const cartId = cartIdOf(workflowId);
  const now = () => new Date().toISOString();

  let state: CartState = emptyCart(now());
  let status: CartStatus = 'open';
  let orderId: string | undefined;
  let settings: Partial<CartInput> = {};
  let notOpened: TemporalFailure | undefined;
  let handledInThisRun = 0;
  let isFull = false;
  let notBefore = 0;
  const turns = new Mutex();
  const isOpen = () => status === 'open';

  // The first turn, taken before there are handlers: they are run at once for what came along with the start, which must
  // not be applied to a cart whose input nobody has parsed and whose state is not there yet.
  const opened = turns.run(async () => {
    try {
      if (!isHandedOver()) await openCart(input, cartId);
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      notOpened = rootFailure(error);
      throw notOpened;
    }
    settings = input;
    const { customerId } = input;
    if (customerId !== undefined && typedSearchAttributes.get(customerIdAttribute) !== customerId) {
      upsertSearchAttributes([{ key: customerIdAttribute, value: customerId }]);
    }
    state = input.state ?? state;
    setCurrentDetails(describe());
  });

  // What arrived before the handlers were there is dealt out by kind; only default handlers get it in its order.
  setDefaultSignalHandler(takeSignal);
  setDefaultUpdateHandler(async (name, argument) => {
    const refusal = refusedAtOnce(name, argument);
    if (refusal) throw refused(refusal);
    return await takeUpdate(toChange(name, argument));
  });
  setDefaultUpdateHandler(undefined);
  for (const kind of CHANGES) {
    setHandler(UPDATES[kind] as ChangeUpdate, (argument: unknown) => takeUpdate(toChange(kind, argument)), {
      validator: (argument: unknown) => {
        const refusal = refusedAtOnce(kind, argument);
        if (refusal) throw refused(refusal);
      },
    });
  }
  setHandler(cartQuery, view);

  await opened;
  try {
    await live();
  } catch (error) {
    if (!isCancellation(error)) throw error;
    await CancellationScope.nonCancellable(giveUp);
    // A checkout that was under way has become an order: that is what became of the cart.
    if (orderId === undefined) throw error;
  }
  return view();

  /** Takes changes until the cart is closed. */
  async function live(): Promise<void> {
    while (isOpen()) {
      noteFullness();
      const wakeAt = dueAt();
      await condition(() => !isOpen() || isFull || dueAt() < wakeAt, Math.max(wakeAt - Date.now(), 1));
      if (isOpen() && isFull) {
        await condition(allHandlersFinished);
        if (isOpen()) await continueAsNew<typeof cart>({ ...input, state });
      }
      if (isOpen() && Date.now() >= dueAt()) await turns.run(beIdle);
    }
    await condition(allHandlersFinished);
  }

  /** Somebody cancelled the workflow: whoever has a turn or waits for one gets his answer, then the cart is closed. */
  async function giveUp(): Promise<void> {
    await turns.run(async () => {
      if (isOpen()) status = 'abandoned';
    });
    await condition(allHandlersFinished);
  }

  async function takeUpdate(request: Change): Promise<CartView> {
    handledInThisRun += 1;
    return await inTurn(request);
  }

  /** A signal has nobody to tell that it was refused. */
  async function takeSignal(name: string, argument: unknown): Promise<void> {
    handledInThisRun += 1;
    const refusal = refusedAtOnce(name, argument);
    if (refusal) log.warn('ignored a signal', { name, ...refusal });
    else await inTurn(toChange(name, argument)).catch(ignoreRefusal);
  }

  /** A cancellation of the workflow does not reach what was accepted, nor the order that the cart becomes. */
  async function inTurn(request: Change): Promise<CartView> {
    noteFullness();
    try {
      return await CancellationScope.nonCancellable(() => turns.run(() => change(request)));
    } finally {
      noteFullness();
    }
  }

  /** Why a request is not even taken. An update that its validator refuses costs no event. */
  function refusedAtOnce(name: string, argument: unknown): Refusal | undefined {
    if (!isChangeKind(name)) return { type: 'InvalidInput', message: `a cart has no ${name}` };
    const refusal = malformed(name, argument);
    if (refusal) return refusal;
    const request = toChange(name, argument);
    if (request.caller !== undefined && request.caller !== ownerIn(input)) {
      return { type: 'NotTheOwner', message: 'the cart belongs to somebody else' };
    }
    if (recall(state, request) === 'repeated') return undefined;
    return closedTo(request) ?? (turns.idle ? refusalOf(state, request) : undefined);
  }

  /** Applies a change, once. @throws what refuses it. */
  async function change(request: Change): Promise<CartView> {
    if (notOpened) throw notOpened;
    if (recall(state, request) === 'repeated') return view();
    try {
      const refusal = closedTo(request) ?? refusalOf(state, request);
      if (refusal) throw refused(refusal);
      await checkStock(request);
    } catch (error) {
      // A cart that was opened by a change that it refuses, and that nobody else waits for, has never been one.
      if (settings.openedByChange && isOpen() && !state.changed && turns.isLast) status = 'abandoned';
      throw error;
    }
    if (request.kind === 'checkout') orderId = await startOrder(request);

    state = apply(state, request, now());
    if (request.kind === 'checkout') status = 'checked_out';
    if (request.kind === 'abandon') status = 'abandoned';
    setCurrentDetails(describe());
    return view();
  }

  /** @throws `UnknownSku`, `OutOfStock`, or `StoreUnavailable` when nobody can tell. */
  async function checkStock(request: Change): Promise<void> {
    const quantity = wantedQuantity(state, request);
    if (quantity === undefined || !('sku' in request)) return;
    try {
      await checkItem({ sku: request.sku, quantity });
    } catch (error) {
      if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
      if (isRejection(error)) throw rootFailure(error);
      throw ApplicationFailure.create({ type: 'StoreUnavailable', message: 'the catalogue does not answer' });
    }
  }

  /** The order lives on when the cart is gone. One life of a cart has one order, so a repeated start finds it there. */
  async function startOrder({ payment, customerId = settings.customerId ?? cartId }: CheckoutCart): Promise<string> {
    const order: OrderInput = { orderId: firstExecutionRunId, customerId, lines: state.lines, payment };
    await startChild<(input: OrderInput) => Promise<OrderView>>('order', {
      workflowId: orderWorkflowId(order.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [order],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      typedSearchAttributes: [
        { key: customerIdAttribute, value: customerId },
        { key: orderStatusAttribute, value: 'processing' },
      ],
      staticSummary: `${order.lines.length} line(s) from cart ${cartId}`,
    }).catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
    return order.orderId;
  }

  /** It was idle for long: at first the customer is reminded, in the end the cart expires. */
  async function beIdle(): Promise<void> {
    if (!isOpen() || Date.now() < dueAt()) return;
    const kind = Date.now() < expiresAt() ? 'cart_reminder' : 'cart_expired';
    if (state.lines.length > 0) {
      try {
        await notifyCustomer({ key: `${firstExecutionRunId}:${kind}:${state.lastChangeAt}`, cartId, kind });
      } catch (error) {
        if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
        log.warn('could not leave a message, will try again', { kind, ...reasonOf(error) });
        notBefore = Date.now() + NOTIFY_AGAIN_MS;
        return;
      }
      if (kind === 'cart_reminder') state = { ...state, remindedAt: now() };
    }
    if (kind === 'cart_reminder') state = { ...state, reminderPassed: true };
    else status = 'expired';
    setCurrentDetails(describe());
  }

  /** When something has to be done if nothing changes, in milliseconds since the epoch. */
  function dueAt(): number {
    const { remindAfterSeconds = settings.remindAfterSeconds ?? DEFAULT_REMIND_AFTER_SECONDS } = state;
    const remindAt = new Date(state.lastChangeAt).getTime() + remindAfterSeconds * 1000;
    return Math.max(state.reminderPassed ? expiresAt() : Math.min(remindAt, expiresAt()), notBefore);
  }

  function expiresAt(): number {
    const { expireAfterSeconds = settings.expireAfterSeconds ?? DEFAULT_EXPIRE_AFTER_SECONDS } = state;
    return new Date(state.lastChangeAt).getTime() + expireAfterSeconds * 1000;
  }

  /**
   * Called where an event has led to. An update that is refused begins a workflow task as well, and a longer history, but
   * leaves nothing in it that would lead a replay here: who looks in a `condition` goes on where no replay does.
   */
  function noteFullness(): void {
    isFull ||= isHistoryFull();
  }

  /** A threshold below the events of a start would never end, so a run takes something before it is handed over. */
  function isHistoryFull(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    const { continueAsNewAfterEvents = Infinity } = settings;
    return continueAsNewSuggested || (handledInThisRun > 0 && historyLength >= continueAsNewAfterEvents);
  }

  function closedTo(request: Change): Refusal | undefined {
    const known = recall(state, request);
    if (known === 'other') return { type: 'RequestIdReused', message: 'this id named another request before' };
    if (isOpen() || known === 'repeated') return undefined;
    return { type: 'CartClosed', message: orderId ? `the cart became order ${orderId}` : `the cart is ${status}` };
  }

  function view(): CartView {
    return {
      cartId,
      ...(settings.customerId !== undefined && { customerId: settings.customerId }),
      status,
      lines: state.lines,
      ...(orderId !== undefined && { orderId }),
      lastChangeAt: state.lastChangeAt,
      ...(state.remindedAt !== undefined && { remindedAt: state.remindedAt }),
      ...(isOpen() && { expiresAt: new Date(Math.min(expiresAt(), LAST_INSTANT_MS)).toISOString() }),
    };
  }

  function describe(): string {
    const lines = state.lines.map(({ sku, quantity }) => `- ${quantity} x ${sku}`);
    return [`**${status}**${orderId ? `, order ${orderId}` : ''}`, '', ...lines].join('\n');
  }
}

/** Whether the run before wrote the input. A retry and the next run of a cron schedule get what the first one was given. */
function isHandedOver(): boolean {
  const { continuedFromExecutionRunId, attempt, cronSchedule } = workflowInfo();
  return continuedFromExecutionRunId !== undefined && attempt === 1 && !cronSchedule;
}

/** Anything else than a refusal is a bug, which must stop. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof TemporalFailure)) throw error;
  log.warn('refused a signal', { ...reasonOf(error) });
}

/** Whose cart it is, by input that nobody may have parsed yet. */
const ownerIn = (input: unknown): unknown => (input as { customerId?: unknown } | null | undefined)?.customerId;

/** All updates of a cart have this shape; each handler knows its own argument. */
type ChangeUpdate = UpdateDefinition<CartView, [unknown]>;

function isChangeKind(name: string): name is ChangeKind {
  return (CHANGES as readonly string[]).includes(name);
}

const toChange = (kind: string, argument: unknown) => ({ kind, ...(argument as object) }) as Change;
