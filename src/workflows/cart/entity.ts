import { TemporalFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  CancellationScope,
  isCancellation,
  log,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  upsertSearchAttributes,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { CartInput, CartState, CartStatus, CartView, CheckoutInput } from '../../schemas/cart.js';
import type { OrderInput, OrderView } from '../../schemas/order.js';
import {
  customerIdAttribute,
  orderStatusAttribute,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
} from '../order/contract.js';
import { reasonOf, rejectionFailure, rootFailure } from '../shared/failures.js';
import { Mutex } from '../shared/mutex.js';
import { CHANGE_DEADLINE_MS, runStoreActivity, openCart } from './activities.js';
import { CHANGE_KINDS, cartIdOf, DEFAULT_EXPIRE_AFTER_SECONDS, DEFAULT_REMIND_AFTER_SECONDS } from './contract.js';
import { describeCart } from './details.js';
import {
  applyChange,
  emptyCart,
  validateChange,
  checkLedger,
  changeRejectionOf,
  quantityAfter,
  type Change,
  type ChangeKind,
  type ChangeRejection,
} from './changes.js';

/** The last instant of the year 9999, the last year with four digits. */
const MAX_DATE_MS = Date.UTC(10_000, 0) - 1;

/** Retry delay of a reminder or an expiry that the store did not accept. */
const STORE_RETRY_DELAY_MS = 60_000;

/** The state of one cart. Processes changes, reminders and expiry one at a time. */
export class CartEntity {
  private readonly input: CartInput;
  private readonly cartId: string;
  /** Identifies this execution of the cart. Continue-as-new and reset keep it. */
  private readonly firstRunId: string;
  private readonly mutex = new Mutex();
  private state: CartState = emptyCart(now());
  private status: CartStatus = 'open';
  private orderId: string | undefined;
  /** The input, once it is parsed. */
  private settings: Partial<CartInput> = {};
  private openFailure: TemporalFailure | undefined;
  private retryNotBefore = 0;
  private problem: string | undefined;

  constructor(input: CartInput) {
    const { workflowId, firstExecutionRunId } = workflowInfo();
    this.input = input;
    this.cartId = cartIdOf(workflowId);
    this.firstRunId = firstExecutionRunId;
  }

  get isOpen(): boolean {
    return this.status === 'open';
  }

  /** Whether the cart became an order. A checkout in progress completes even if the workflow is cancelled. */
  get hasBecomeOrder(): boolean {
    return this.orderId !== undefined;
  }

  /** Number of history events after which the run continues as new, unless the server suggests it earlier. */
  get maxEvents(): number {
    return this.settings.continueAsNewAfterEvents ?? Infinity;
  }

  /** The input of the next run. */
  get nextRunInput(): CartInput {
    return { ...this.input, state: this.state };
  }

  /**
   * Parses the input. Runs first, because changes that arrive with the start must wait for it.
   *
   * @throws `InvalidInput`. Waiting changes then fail with it as well.
   */
  async open(): Promise<void> {
    await this.mutex.run(async () => {
      try {
        if (!isContinuedRun()) await openCart(this.input, this.cartId);
      } catch (error) {
        if (!(error instanceof TemporalFailure)) throw error;
        this.openFailure = rootFailure(error);
        throw this.openFailure;
      }
      this.settings = this.input;
      const { customerId } = this.input;
      const { typedSearchAttributes } = workflowInfo();
      if (customerId !== undefined && typedSearchAttributes.get(customerIdAttribute) !== customerId) {
        upsertSearchAttributes([{ key: customerIdAttribute, value: customerId }]);
      }
      this.state = this.input.state ?? this.state;
      this.publish();
    });
  }

  /** Why a request is rejected on arrival. An update rejected by its validator writes no event. */
  rejectionOf(name: string, argument: unknown): ChangeRejection | undefined {
    if (!isChangeKind(name)) return { type: 'InvalidInput', message: `a cart takes ${CHANGE_KINDS.join(', ')}` };
    const problem = validateChange(name, argument);
    if (problem) return problem;
    const request = toChange(name, argument);
    if (request.caller !== undefined && request.caller !== readCustomerId(this.input)) {
      return { type: 'NotTheOwner', message: 'the cart belongs to another customer' };
    }
    if (checkLedger(this.state, request) === 'repeated') return undefined;
    return this.closedRejectionOf(request) ?? (this.mutex.isIdle ? changeRejectionOf(this.state, request) : undefined);
  }

  /** Applies an update once. @throws the cart's rejection, at the latest after `CHANGE_DEADLINE_MS`. */
  async applyUpdate(request: Change): Promise<CartView> {
    const deadline = Date.now() + CHANGE_DEADLINE_MS;
    return await this.runExclusive(() => this.applyChangeOnce(request, deadline));
  }

  /** Applies a signal once. The deadline starts with its turn, because no caller waits. A rejection is logged. */
  async applySignal(name: string, argument: unknown): Promise<void> {
    const rejection = this.rejectionOf(name, argument);
    if (rejection) {
      log.warn('ignored a signal', { ...rejection });
      return;
    }
    try {
      await this.runExclusive(() => this.applyChangeOnce(toChange(name, argument), Date.now() + CHANGE_DEADLINE_MS));
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      log.warn('rejected a signal', { ...reasonOf(error) });
    }
  }

  /** Sends the reminder or expires the cart when it is due. */
  async runDueStep(): Promise<void> {
    await this.mutex.run(async () => {
      if (!this.isOpen || Date.now() < this.dueAt()) return;
      const isReminder = Date.now() < this.expiresAt();
      try {
        await (isReminder ? this.remind() : this.expire());
        this.problem = undefined;
      } catch (error) {
        if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
        const { type, message } = reasonOf(error);
        log.warn('the store did not take a notification', { type, message });
        this.retryNotBefore = Date.now() + STORE_RETRY_DELAY_MS;
        this.problem = `${isReminder ? 'the reminder' : 'the expiry'} waits for the store (${type})`;
      }
      this.publish();
    });
  }

  /** Closes a cart whose workflow was cancelled, after all accepted changes. */
  async abandonAfterCancellation(): Promise<void> {
    await this.mutex.run(async () => {
      if (!this.isOpen) return;
      // Best effort: lists reconcile the status if the store does not respond.
      await this.recordClosed('abandoned', 'Record the cancellation').catch(ignoreFailure);
      this.status = 'abandoned';
      this.publish();
    });
  }

  /** When the reminder or expiry is due without further changes, in milliseconds since the epoch. */
  dueAt(): number {
    const { remindAfterSeconds = this.settings.remindAfterSeconds ?? DEFAULT_REMIND_AFTER_SECONDS } = this.state;
    const remindAt = new Date(this.state.lastChangeAt).getTime() + remindAfterSeconds * 1000;
    const dueAt = this.state.reminderPassed ? this.expiresAt() : Math.min(remindAt, this.expiresAt());
    return Math.max(dueAt, this.retryNotBefore);
  }

  /** The timer summary for what is due next. */
  timerSummary(): string {
    if (this.problem !== undefined) return 'Next attempt';
    return this.state.reminderPassed ? 'Expiry of the cart' : 'Reminder to the customer';
  }

  view(): CartView {
    const { state, status, orderId, settings } = this;
    return {
      cartId: this.cartId,
      ...(settings.customerId !== undefined && { customerId: settings.customerId }),
      status,
      lines: state.lines,
      ...(orderId !== undefined && { orderId }),
      lastChangeAt: state.lastChangeAt,
      ...(state.remindedAt !== undefined && { remindedAt: state.remindedAt }),
      ...(this.isOpen && { expiresAt: new Date(Math.min(this.expiresAt(), MAX_DATE_MS)).toISOString() }),
    };
  }

  /**
   * Runs `work` in its turn, in a non-cancellable scope: cancelling the workflow affects neither accepted changes nor
   * the order of the cart.
   */
  private async runExclusive<T>(work: () => Promise<T>): Promise<T> {
    return await CancellationScope.nonCancellable(() => this.mutex.run(work));
  }

  private async applyChangeOnce(request: Change, deadline: number): Promise<CartView> {
    if (this.openFailure) throw this.openFailure;
    if (checkLedger(this.state, request) === 'repeated') return this.view();
    try {
      const refusal = this.closedRejectionOf(request) ?? changeRejectionOf(this.state, request);
      if (refusal) throw rejectionFailure(refusal);
      await this.assertAvailable(request, deadline);
    } catch (error) {
      // A rejected first change must not leave an empty cart, unless another change is waiting.
      if (this.settings.openedByChange && this.isOpen && !this.state.hasChanged && this.mutex.hasNoWaiters) {
        this.status = 'abandoned';
      }
      throw error;
    }
    if (request.kind === 'checkout') this.orderId = await this.checkOut(request, deadline);
    if (request.kind === 'abandon') await this.recordClosed('abandoned', 'Record that it was abandoned', deadline);

    this.state = applyChange(this.state, request, now());
    if (request.kind === 'checkout') this.status = 'checked_out';
    if (request.kind === 'abandon') this.status = 'abandoned';
    this.publish();
    return this.view();
  }

  /** @throws `UnknownSku`, `OutOfStock`, or `StoreUnavailable`. */
  private async assertAvailable(request: Change, deadline: number): Promise<void> {
    const quantity = quantityAfter(this.state, request);
    if (quantity === undefined || !('sku' in request)) return;
    const { sku } = request;
    const check = { cart: this.key(), sku, quantity, at: now() };
    await runStoreActivity(`Check ${quantity} x ${sku}`, deadline, ({ checkItem }) => checkItem(check));
  }

  /**
   * Starts the order of the cart. An execution of a cart becomes at most one order. The store keeps the order id and
   * the content, so that a run that was reset to before its checkout joins that order only with the same content. The
   * order continues after the cart has closed.
   *
   * @throws `PriceChanged`, `AlreadyOrdered`, `UnknownSku`, `MixedCurrencies`, or `StoreUnavailable`.
   */
  private async checkOut(request: CheckoutInput, deadline: number): Promise<string> {
    const { payment, expectedTotal, customerId = this.settings.customerId ?? this.cartId } = request;
    const order: OrderInput = {
      orderId: this.firstRunId,
      customerId,
      lines: this.state.lines,
      payment,
      ...(expectedTotal && { expectedTotal }),
    };
    await runStoreActivity('Check the total and claim the order', deadline, ({ claimCartOrder }) =>
      claimCartOrder({ cart: this.key(), order }),
    );
    await startChild<(input: OrderInput) => Promise<OrderView>>(ORDER_WORKFLOW_TYPE, {
      workflowId: orderWorkflowId(order.orderId),
      taskQueue: ORDER_TASK_QUEUE,
      args: [order],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
      typedSearchAttributes: [
        { key: customerIdAttribute, value: customerId },
        { key: orderStatusAttribute, value: 'processing' },
      ],
      staticSummary: `${order.lines.length} line(s) from cart ${this.cartId}`,
    }).catch((error: unknown) => {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    });
    return order.orderId;
  }

  private async remind(): Promise<void> {
    if (this.state.lines.length > 0) {
      const message = {
        key: this.notificationKey('cart_reminder'),
        cartId: this.cartId,
        kind: 'cart_reminder' as const,
      };
      await runStoreActivity('Remind the customer', Date.now() + CHANGE_DEADLINE_MS, ({ notifyCustomer }) =>
        notifyCustomer(message),
      );
      this.state = { ...this.state, remindedAt: now() };
    }
    this.state = { ...this.state, reminderPassed: true };
  }

  private async expire(): Promise<void> {
    const key = this.state.lines.length > 0 ? this.notificationKey('cart_expired') : undefined;
    await this.recordClosed('expired', 'Expire the cart', Date.now() + CHANGE_DEADLINE_MS, key);
    this.status = 'expired';
  }

  /**
   * Records in the store that the cart closed, and notifies its customer. The store has no record of a cart before its
   * first change.
   */
  private async recordClosed(
    status: Exclude<CartStatus, 'open'>,
    summary: string,
    deadline = Date.now() + CHANGE_DEADLINE_MS,
    notificationKey?: string,
  ): Promise<void> {
    if (!this.state.hasChanged && notificationKey === undefined) return;
    const closing = { cart: this.key(), status, ...(notificationKey !== undefined && { notificationKey }) };
    await runStoreActivity(summary, deadline, ({ closeCart }) => closeCart(closing));
  }

  /** Prefers the request id: when a reset applies a change again, the request id is the same but the time is not. */
  private notificationKey(kind: string): string {
    return `${this.firstRunId}:${kind}:${this.state.lastIdempotencyKey ?? this.state.lastChangeAt}`;
  }

  private key() {
    const { firstRunId, cartId } = this;
    const { customerId } = this.settings;
    return { firstRunId, cartId, ...(customerId !== undefined && { customerId }) };
  }

  private expiresAt(): number {
    const { expireAfterSeconds = this.settings.expireAfterSeconds ?? DEFAULT_EXPIRE_AFTER_SECONDS } = this.state;
    return new Date(this.state.lastChangeAt).getTime() + expireAfterSeconds * 1000;
  }

  private closedRejectionOf(request: Change): ChangeRejection | undefined {
    const known = checkLedger(this.state, request);
    if (known === 'other') return { type: 'IdempotencyKeyReused', message: 'this id named another request before' };
    if (this.isOpen || known === 'repeated') return undefined;
    const message = this.orderId ? `the cart became order ${this.orderId}` : `the cart is ${this.status}`;
    return { type: 'CartClosed', message };
  }

  private publish(): void {
    setCurrentDetails(describeCart(this.view(), this.problem));
  }
}

export const toChange = (kind: string, argument: unknown) => ({ kind, ...(argument as object) }) as Change;

function now(): string {
  return new Date().toISOString();
}

/** Whether the previous run wrote the input. A workflow retry and a cron run get the original input. */
function isContinuedRun(): boolean {
  const { continuedFromExecutionRunId, attempt, cronSchedule } = workflowInfo();
  return continuedFromExecutionRunId !== undefined && attempt === 1 && !cronSchedule;
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof TemporalFailure)) throw error;
}

/** The customer id in raw input. */
const readCustomerId = (input: unknown): unknown => (input as { customerId?: unknown } | null | undefined)?.customerId;

function isChangeKind(name: string): name is ChangeKind {
  return (CHANGE_KINDS as readonly string[]).includes(name);
}
