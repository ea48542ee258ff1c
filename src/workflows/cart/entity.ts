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
import type { CartInput, CartState, CartStatus, CartView, CheckoutCart } from '../../schemas/cart.js';
import type { OrderInput, OrderView } from '../../schemas/order.js';
import {
  customerIdAttribute,
  orderStatusAttribute,
  orderWorkflowId,
  ORDER_TASK_QUEUE,
  ORDER_WORKFLOW_TYPE,
} from '../order/contract.js';
import { reasonOf, refused, rootFailure } from '../shared/failures.js';
import { Mutex } from '../shared/mutex.js';
import { CHANGE_DEADLINE_MS, onStore, openCart } from './activities.js';
import { CHANGES, cartIdOf, DEFAULT_EXPIRE_AFTER_SECONDS, DEFAULT_REMIND_AFTER_SECONDS } from './contract.js';
import { describeCart } from './details.js';
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

/** The last instant that a four-digit year can name. */
const LAST_INSTANT_MS = Date.UTC(10_000, 0) - 1;

/** How long a reminder or an expiry that the store did not take waits for its next attempt. */
const NEXT_ATTEMPT_MS = 60_000;

/** One cart: its state, and what acts on it, one after the other: changes, and the passing of time. */
export class CartEntity {
  private readonly input: CartInput;
  private readonly cartId: string;
  /** Names this life of the cart: it survives continue-as-new and reset. */
  private readonly firstRunId: string;
  private readonly turns = new Mutex();
  private state: CartState = emptyCart(now());
  private status: CartStatus = 'open';
  private orderId: string | undefined;
  /** The input, once it was parsed. */
  private settings: Partial<CartInput> = {};
  private notOpened: TemporalFailure | undefined;
  private notBefore = 0;
  private trouble: string | undefined;

  constructor(input: CartInput) {
    const { workflowId, firstExecutionRunId } = workflowInfo();
    this.input = input;
    this.cartId = cartIdOf(workflowId);
    this.firstRunId = firstExecutionRunId;
  }

  get isOpen(): boolean {
    return this.status === 'open';
  }

  /** A checkout that was under way when the workflow was cancelled has become an order. */
  get becameOrder(): boolean {
    return this.orderId !== undefined;
  }

  /** Events after which a run hands over, when the server does not suggest it before. */
  get maxEvents(): number {
    return this.settings.continueAsNewAfterEvents ?? Infinity;
  }

  /** What the next run starts with. */
  get handover(): CartInput {
    return { ...this.input, state: this.state };
  }

  /**
   * Parses the input. Takes the first turn: changes that arrive with the start must not be applied before.
   *
   * @throws `InvalidInput`; so does every change that waits.
   */
  async open(): Promise<void> {
    await this.turns.run(async () => {
      try {
        if (!isHandedOver()) await openCart(this.input, this.cartId);
      } catch (error) {
        if (!(error instanceof TemporalFailure)) throw error;
        this.notOpened = rootFailure(error);
        throw this.notOpened;
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

  /** Why a request is rejected on arrival. An update that its validator rejects costs no event. */
  rejectionOf(name: string, argument: unknown): Refusal | undefined {
    if (!isChangeKind(name)) return { type: 'InvalidInput', message: `a cart takes ${CHANGES.join(', ')}` };
    const problem = malformed(name, argument);
    if (problem) return problem;
    const request = toChange(name, argument);
    if (request.caller !== undefined && request.caller !== ownerIn(this.input)) {
      return { type: 'NotTheOwner', message: 'the cart belongs to another customer' };
    }
    if (recall(this.state, request) === 'repeated') return undefined;
    return this.closedTo(request) ?? (this.turns.idle ? refusalOf(this.state, request) : undefined);
  }

  /** Applies an update, once. @throws why the cart rejects it, at the latest after `CHANGE_DEADLINE_MS`. */
  async takeUpdate(request: Change): Promise<CartView> {
    const deadline = Date.now() + CHANGE_DEADLINE_MS;
    return await this.inTurn(() => this.change(request, deadline));
  }

  /** Applies a signal, once. No caller waits for it, so its time starts with its turn, and a rejection is logged. */
  async takeSignal(name: string, argument: unknown): Promise<void> {
    const rejection = this.rejectionOf(name, argument);
    if (rejection) {
      log.warn('ignored a signal', { ...rejection });
      return;
    }
    try {
      await this.inTurn(() => this.change(toChange(name, argument), Date.now() + CHANGE_DEADLINE_MS));
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      log.warn('rejected a signal', { ...reasonOf(error) });
    }
  }

  /** What falls due when nothing changes: a reminder, then the expiry. */
  async beIdle(): Promise<void> {
    await this.turns.run(async () => {
      if (!this.isOpen || Date.now() < this.dueAt()) return;
      const isReminder = Date.now() < this.expiresAt();
      try {
        await (isReminder ? this.remind() : this.expire());
        this.trouble = undefined;
      } catch (error) {
        if (!(error instanceof TemporalFailure) || isCancellation(error)) throw error;
        const { type, message } = reasonOf(error);
        log.warn('the store did not take a notification', { type, message });
        this.notBefore = Date.now() + NEXT_ATTEMPT_MS;
        this.trouble = `${isReminder ? 'the reminder' : 'the expiry'} waits for the store (${type})`;
      }
      this.publish();
    });
  }

  /** Closes a cart whose workflow was cancelled, after the changes that were accepted before. */
  async giveUp(): Promise<void> {
    await this.turns.run(async () => {
      if (!this.isOpen) return;
      // A list finds out by itself when the store does not answer.
      await this.recordClosed('abandoned', 'Record the cancellation').catch(ignoreFailure);
      this.status = 'abandoned';
      this.publish();
    });
  }

  /** When something falls due if nothing changes, in milliseconds since the epoch. */
  dueAt(): number {
    const { remindAfterSeconds = this.settings.remindAfterSeconds ?? DEFAULT_REMIND_AFTER_SECONDS } = this.state;
    const remindAt = new Date(this.state.lastChangeAt).getTime() + remindAfterSeconds * 1000;
    const dueAt = this.state.reminderPassed ? this.expiresAt() : Math.min(remindAt, this.expiresAt());
    return Math.max(dueAt, this.notBefore);
  }

  /** What falls due then, as the summary of its timer. */
  dueStep(): string {
    if (this.trouble !== undefined) return 'Next attempt';
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
      ...(this.isOpen && { expiresAt: new Date(Math.min(this.expiresAt(), LAST_INSTANT_MS)).toISOString() }),
    };
  }

  /** A cancellation of the workflow reaches neither what was accepted, nor the order that the cart becomes. */
  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    return await CancellationScope.nonCancellable(() => this.turns.run(work));
  }

  private async change(request: Change, deadline: number): Promise<CartView> {
    if (this.notOpened) throw this.notOpened;
    if (recall(this.state, request) === 'repeated') return this.view();
    try {
      const refusal = this.closedTo(request) ?? refusalOf(this.state, request);
      if (refusal) throw refused(refusal);
      await this.assertAvailable(request, deadline);
    } catch (error) {
      // A cart that its first change opens does not exist when that change is rejected and no other one waits.
      if (this.settings.openedByChange && this.isOpen && !this.state.changed && this.turns.isLast) {
        this.status = 'abandoned';
      }
      throw error;
    }
    if (request.kind === 'checkout') this.orderId = await this.checkOut(request, deadline);
    if (request.kind === 'abandon') await this.recordClosed('abandoned', 'Record that it was abandoned', deadline);

    this.state = apply(this.state, request, now());
    if (request.kind === 'checkout') this.status = 'checked_out';
    if (request.kind === 'abandon') this.status = 'abandoned';
    this.publish();
    return this.view();
  }

  /** @throws `UnknownSku`, `OutOfStock`, or `StoreUnavailable`. */
  private async assertAvailable(request: Change, deadline: number): Promise<void> {
    const quantity = wantedQuantity(this.state, request);
    if (quantity === undefined || !('sku' in request)) return;
    const { sku } = request;
    const check = { cart: this.key(), sku, quantity, at: now() };
    await onStore(`Check ${quantity} x ${sku}`, deadline, ({ checkItem }) => checkItem(check));
  }

  /**
   * One life of a cart becomes at most one order. The store keeps which one, and its content: a run that was reset to
   * before its checkout joins that order only with the same content. The order outlives the cart.
   *
   * @throws `PriceChanged`, `AlreadyOrdered`, `UnknownSku`, `MixedCurrencies`, or `StoreUnavailable`.
   */
  private async checkOut(request: CheckoutCart, deadline: number): Promise<string> {
    const { payment, expectedTotal, customerId = this.settings.customerId ?? this.cartId } = request;
    const order: OrderInput = {
      orderId: this.firstRunId,
      customerId,
      lines: this.state.lines,
      payment,
      ...(expectedTotal && { expectedTotal }),
    };
    await onStore('Check the total and claim the order', deadline, ({ checkOutCart }) =>
      checkOutCart({ cart: this.key(), order }),
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
      await onStore('Remind the customer', Date.now() + CHANGE_DEADLINE_MS, ({ notifyCustomer }) =>
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

  /** Records the end of a cart in the store, which knows a cart from its first item on, and notifies its customer. */
  private async recordClosed(
    status: Exclude<CartStatus, 'open'>,
    summary: string,
    deadline = Date.now() + CHANGE_DEADLINE_MS,
    notificationKey?: string,
  ): Promise<void> {
    if (!this.state.changed && notificationKey === undefined) return;
    const closing = { cart: this.key(), status, ...(notificationKey !== undefined && { notificationKey }) };
    await onStore(summary, deadline, ({ closeCart }) => closeCart(closing));
  }

  /** A change that is applied again after a reset has its request id again, and another time. */
  private notificationKey(kind: string): string {
    return `${this.firstRunId}:${kind}:${this.state.lastRequestId ?? this.state.lastChangeAt}`;
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

  private closedTo(request: Change): Refusal | undefined {
    const known = recall(this.state, request);
    if (known === 'other') return { type: 'RequestIdReused', message: 'this id named another request before' };
    if (this.isOpen || known === 'repeated') return undefined;
    const message = this.orderId ? `the cart became order ${this.orderId}` : `the cart is ${this.status}`;
    return { type: 'CartClosed', message };
  }

  private publish(): void {
    setCurrentDetails(describeCart(this.view(), this.trouble));
  }
}

export const toChange = (kind: string, argument: unknown) => ({ kind, ...(argument as object) }) as Change;

function now(): string {
  return new Date().toISOString();
}

/** Whether the previous run wrote the input. A workflow retry and the next run of a cron schedule get the first input. */
function isHandedOver(): boolean {
  const { continuedFromExecutionRunId, attempt, cronSchedule } = workflowInfo();
  return continuedFromExecutionRunId !== undefined && attempt === 1 && !cronSchedule;
}

function ignoreFailure(error: unknown): void {
  if (!(error instanceof TemporalFailure)) throw error;
}

/** The customer in an input that may not be parsed yet. */
const ownerIn = (input: unknown): unknown => (input as { customerId?: unknown } | null | undefined)?.customerId;

function isChangeKind(name: string): name is ChangeKind {
  return (CHANGES as readonly string[]).includes(name);
}
