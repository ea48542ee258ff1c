import {
  ApplicationFailure,
  TemporalFailure,
  WorkflowExecutionAlreadyStartedError,
  type SignalDefinition,
  type UpdateDefinition,
} from '@temporalio/common';
import {
  allHandlersFinished,
  condition,
  continueAsNew,
  log,
  ParentClosePolicy,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  startChild,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities } from '../../activities/index.js';
import type { CartInput, CartState, CartStatus, CartView, CheckoutCart } from '../../schemas/cart.js';
import type { OrderInput, OrderView } from '../../schemas/order.js';
import { customerIdAttribute, orderStatusAttribute, orderWorkflowId, ORDER_TASK_QUEUE } from '../order/contract.js';
import { NON_RETRYABLE, reasonOf } from '../shared/failures.js';
import { Mutex } from '../shared/mutex.js';
import {
  abandonSignal,
  abandonUpdate,
  addItemSignal,
  addItemUpdate,
  cartIdOf,
  cartQuery,
  checkoutSignal,
  checkoutUpdate,
  DEFAULT_EXPIRE_AFTER_SECONDS,
  DEFAULT_REMIND_AFTER_SECONDS,
  removeItemSignal,
  removeItemUpdate,
  setQuantitySignal,
  setQuantityUpdate,
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

/** Short steps on our own database, in the workflow task that needs them. A minute of retries bridges a restart of it. */
const { openCart, checkItem, notifyCustomer } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '5 seconds',
  retry: {
    initialInterval: '100 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '10 seconds',
    maximumAttempts: 12,
    nonRetryableErrorTypes: [...NON_RETRYABLE],
  },
});

/**
 * One shopping cart, for its whole life: takes changes one after the other, reminds of itself when it is idle, expires,
 * or becomes an order. Its history stays bounded: a run hands the whole state over to the next one.
 *
 * Completes with the cart's last view. Input that does not parse fails as `InvalidInput` with the list of problems.
 */
export async function cart(input: CartInput): Promise<CartView> {
  const { workflowId, firstExecutionRunId } = workflowInfo();
  const cartId = cartIdOf(workflowId);
  const now = () => new Date().toISOString();

  let state: CartState = emptyCart(now());
  let status: CartStatus = 'open';
  let orderId: string | undefined;
  let changesInThisRun = 0;
  const turns = new Mutex();
  const isOpen = () => status === 'open';

  // The first turn, taken before there are handlers: a change that came along with the start runs in `setHandler`, and
  // must not be applied to a cart whose input nobody has parsed.
  const opened = turns.run(async () => {
    await openCart(input, cartId);
    state = input.state ?? state;
  });

  setHandler(cartQuery, view);
  handle('addItem', addItemUpdate, addItemSignal);
  handle('setQuantity', setQuantityUpdate, setQuantitySignal);
  handle('removeItem', removeItemUpdate, removeItemSignal);
  handle('checkout', checkoutUpdate, checkoutSignal);
  handle('abandon', abandonUpdate, abandonSignal);

  await opened;

  while (isOpen()) {
    const wakeAt = dueAt();
    await condition(() => !isOpen() || isFull() || dueAt() < wakeAt, Math.max(wakeAt - Date.now(), 1));
    if (isOpen() && isFull()) {
      await condition(allHandlersFinished);
      if (isOpen()) await continueAsNew<typeof cart>({ ...input, state });
    }
    if (isOpen() && Date.now() >= dueAt()) await turns.run(beIdle);
  }
  await condition(allHandlersFinished);
  return view();

  function handle<Argument>(
    kind: ChangeKind,
    update: UpdateDefinition<CartView, [Argument]>,
    signal: SignalDefinition<[Argument]>,
  ): void {
    const toChange = (argument: Argument) => ({ kind, ...argument }) as Change;
    setHandler(update, (argument) => turns.run(() => change(toChange(argument))), {
      validator: (argument) => {
        const refusal = malformed(kind, argument) ?? closedTo(toChange(argument));
        if (refusal) throw refused(refusal);
      },
    });
    setHandler(signal, async (argument) => {
      const refusal = malformed(kind, argument);
      if (refusal) log.warn('ignored a signal', { ...refusal });
      else await turns.run(() => change(toChange(argument))).catch(ignoreRefusal);
    });
  }

  /** Applies a change, once. @throws what refuses it. */
  async function change(request: Change): Promise<CartView> {
    if (recall(state, request) === 'repeated') return view();
    const refusal = closedTo(request) ?? refusalOf(state, request);
    if (refusal) throw refused(refusal);

    const wanted = wantedQuantity(state, request);
    if (wanted !== undefined && 'sku' in request) await checkItem({ sku: request.sku, quantity: wanted });
    if (request.kind === 'checkout') orderId = await startOrder(request);

    state = apply(state, request, now());
    changesInThisRun += 1;
    if (request.kind === 'checkout') status = 'checked_out';
    if (request.kind === 'abandon') status = 'abandoned';
    setCurrentDetails(describe());
    return view();
  }

  /** The order lives on when the cart is gone. One life of a cart has one order, so a repeated start finds it there. */
  async function startOrder({ payment, customerId = cartId }: CheckoutCart): Promise<string> {
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
      await notifyCustomer({ key: `${firstExecutionRunId}:${kind}:${state.lastChangeAt}`, cartId, kind });
      if (kind === 'cart_reminder') state = { ...state, remindedAt: now() };
    }
    if (kind === 'cart_reminder') state = { ...state, reminderPassed: true };
    else status = 'expired';
    setCurrentDetails(describe());
  }

  /** When something has to be done if nothing changes, in milliseconds since the epoch. */
  function dueAt(): number {
    const { remindAfterSeconds = DEFAULT_REMIND_AFTER_SECONDS } = input;
    const remindAt = new Date(state.lastChangeAt).getTime() + remindAfterSeconds * 1000;
    return state.reminderPassed ? expiresAt() : Math.min(remindAt, expiresAt());
  }

  function expiresAt(): number {
    const { expireAfterSeconds = DEFAULT_EXPIRE_AFTER_SECONDS } = input;
    return new Date(state.lastChangeAt).getTime() + expireAfterSeconds * 1000;
  }

  /** A run that took no change is not handed over: a threshold below the events of a start would never end. */
  function isFull(): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    const { continueAsNewAfterEvents = Infinity } = input;
    return changesInThisRun > 0 && (continueAsNewSuggested || historyLength >= continueAsNewAfterEvents);
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
      status,
      lines: state.lines,
      ...(orderId !== undefined && { orderId }),
      lastChangeAt: state.lastChangeAt,
      ...(state.remindedAt !== undefined && { remindedAt: state.remindedAt }),
      ...(isOpen() && { expiresAt: new Date(expiresAt()).toISOString() }),
    };
  }

  function describe(): string {
    const lines = state.lines.map(({ sku, quantity }) => `- ${quantity} x ${sku}`);
    return [`**${status}**${orderId ? `, order ${orderId}` : ''}`, '', ...lines].join('\n');
  }
}

const refused = ({ type, message }: Refusal) =>
  ApplicationFailure.create({ type, message, nonRetryable: true, category: 'BENIGN' });

/** A signal has nobody to tell that it was refused. Anything else than a refusal is a bug, which must stop. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof TemporalFailure)) throw error;
  log.warn('refused a signal', { ...reasonOf(error) });
}
