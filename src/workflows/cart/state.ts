import type { TemporalFailure } from '@temporalio/common';
import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { CartChange, CartInput, CartSnapshot, CartStatus, CartView } from '../../schemas/cart.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { customerIdAttribute } from '../order/contract.js';
import { Mutex } from '../shared/mutex.js';
import { applyChange, checkLedger, emptyCart, recordChange, type Change, type ChangeRejection } from './changes.js';
import { cartIdOf } from './contract.js';
import { describeCart } from './details.js';

/** By default, an idle cart gets a reminder after one day and expires after 30 days. */
const DEFAULT_REMIND_AFTER_SECONDS = 24 * 60 * 60;
const DEFAULT_EXPIRE_AFTER_SECONDS = 30 * 24 * 60 * 60;

/** The latest time that a view can show: the end of the year 9999. Later years have more than four digits. */
const MAX_DATE_MS = Date.UTC(10_000, 0) - 1;

/** The complete state of a cart, and its transitions. */
export class CartState {
  readonly input: CartInput;
  readonly cartId: string;
  /** Identifies this execution of the cart. Continue-as-new and reset keep it. */
  readonly firstRunId: string;
  /** Runs changes, reminders and expiry one at a time. */
  readonly mutex = new Mutex();
  /** The content of the cart. Continue-as-new passes it to the next run. */
  content: CartSnapshot = emptyCart(now());
  status: CartStatus = 'open';
  orderId: string | undefined;
  /** The parsed input. Empty until the input is parsed. */
  settings: Partial<CartInput> = {};
  openFailure: TemporalFailure | undefined;
  /** Whether this run must continue as new, because its history is full or a new worker version is current. */
  mustContinueAsNew = false;
  private handledInThisRun = 0;
  private remindedInThisRun = false;
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

  /**
   * Whether the cart became an order. This can also happen after a cancellation, because a checkout in progress
   * completes.
   */
  get hasBecomeOrder(): boolean {
    return this.orderId !== undefined;
  }

  /** Identifies the cart in store activities. */
  get key() {
    const { firstRunId, cartId } = this;
    const { customerId } = this.settings;
    return { firstRunId, cartId, ...(customerId !== undefined && { customerId }) };
  }

  /** The input of the next run. */
  get nextRunInput(): CartInput {
    return { ...this.input, state: this.content };
  }

  /** When the reminder or the expiry is due if no further change arrives, in milliseconds since the epoch. */
  get dueAt(): number {
    const { remindAfterSeconds = this.settings.remindAfterSeconds ?? DEFAULT_REMIND_AFTER_SECONDS } = this.content;
    const remindAt = new Date(this.content.lastChangeAt).getTime() + remindAfterSeconds * 1000;
    const dueAt = this.content.reminderPassed ? this.expiresAt : Math.min(remindAt, this.expiresAt);
    return Math.max(dueAt, this.retryNotBefore);
  }

  get isDue(): boolean {
    return Date.now() >= this.dueAt;
  }

  /** When the cart expires, in milliseconds since the epoch. */
  get expiresAt(): number {
    const { expireAfterSeconds = this.settings.expireAfterSeconds ?? DEFAULT_EXPIRE_AFTER_SECONDS } = this.content;
    return new Date(this.content.lastChangeAt).getTime() + expireAfterSeconds * 1000;
  }

  /** The summary of the next timer. */
  get timerSummary(): string {
    if (this.problem !== undefined) return 'Next attempt';
    return this.content.reminderPassed ? 'Expiry of the cart' : 'Reminder to the customer';
  }

  /** The current view. Updates return it without the latest changes, because each result is part of the history. */
  get view(): CartView {
    const { content, status, orderId, settings } = this;
    return {
      cartId: this.cartId,
      ...(settings.customerId !== undefined && { customerId: settings.customerId }),
      status,
      lines: content.lines,
      ...(orderId !== undefined && { orderId }),
      lastChangeAt: content.lastChangeAt,
      ...(content.remindedAt !== undefined && { remindedAt: content.remindedAt }),
      ...(this.isOpen && { expiresAt: new Date(Math.min(this.expiresAt, MAX_DATE_MS)).toISOString() }),
    };
  }

  /** The current view with the latest changes, for queries and for the result of the workflow. */
  get viewWithChanges(): CartView {
    const { changes } = this.content;
    return { ...this.view, ...(changes && { changes: [...changes].reverse() }) };
  }

  /** Opens the cart with the parsed input and the content of the previous run. */
  open(): void {
    this.settings = this.input;
    const { customerId } = this.input;
    if (customerId !== undefined && workflowInfo().typedSearchAttributes.get(customerIdAttribute) !== customerId) {
      upsertSearchAttributes([{ key: customerIdAttribute, value: customerId }]);
    }
    this.content = this.input.state ?? this.content;
    this.publish();
  }

  /**
   * Returns why the cart does not admit a change: its idempotency key is used, or the cart is closed. A repeated change
   * is admitted.
   */
  admissionRejectionOf(change: Change): ChangeRejection | undefined {
    const ledgerMatch = checkLedger(this.content, change);
    if (ledgerMatch === 'other') {
      return { type: 'IdempotencyKeyReused', message: 'the idempotency key was used for another request' };
    }
    if (this.isOpen || ledgerMatch === 'repeated') return undefined;
    const message = this.orderId ? `the cart became order ${this.orderId}` : `the cart is ${this.status}`;
    return { type: 'CartClosed', message };
  }

  apply(change: Change): void {
    this.content = applyChange(this.content, change, now());
    if (change.kind === 'checkout') this.status = 'checked_out';
    if (change.kind === 'abandon') this.status = 'abandoned';
    this.publish();
  }

  /**
   * Closes the cart after its first change was rejected, so that no empty cart remains. Keeps the cart open while
   * another change is waiting.
   */
  closeIfNeverChanged(): void {
    if (this.settings.openedByChange && this.isOpen && !this.content.hasChanged && this.mutex.hasNoWaiters) {
      this.status = 'abandoned';
    }
  }

  onCheckoutFailed({ caller }: Change, reason: Reason): void {
    this.record({ event: 'checkout_failed', reason, ...(caller !== undefined && { caller }) });
  }

  onReminded(): void {
    this.record({ event: 'reminded' });
    this.content = { ...this.content, remindedAt: now() };
  }

  onReminderPassed(): void {
    this.remindedInThisRun = true;
    this.content = { ...this.content, reminderPassed: true };
  }

  close(status: Exclude<CartStatus, 'open'>): void {
    this.record({ event: status });
    this.status = status;
    this.publish();
  }

  /** Shows the problem and postpones the next attempt by the delay. */
  retryLater(problem: string, delayMs: number): void {
    this.retryNotBefore = Date.now() + delayMs;
    this.problem = problem;
    this.publish();
  }

  resolveProblem(): void {
    this.problem = undefined;
    this.publish();
  }

  countHandledRequest(): void {
    this.handledInThisRun += 1;
  }

  /**
   * Call only after a history event. A rejected update starts a workflow task and lengthens the history, but leaves no
   * event for a replay. If a `condition` checked the history length after such an update, the replay would differ.
   *
   * A run handles at least one request, or sends its reminder, before it continues as new for one of our own reasons.
   * Otherwise, a threshold below the number of start events, or an override of the worker version, would continue as
   * new forever.
   */
  checkContinueAsNew(): void {
    const { continueAsNewSuggested, historyLength, targetWorkerDeploymentVersionChanged: isOutdated } = workflowInfo();
    const maxEvents = this.settings.continueAsNewAfterEvents ?? Infinity;
    this.mustContinueAsNew ||=
      continueAsNewSuggested ||
      (this.handledInThisRun > 0 && historyLength >= maxEvents) ||
      (isOutdated && (this.handledInThisRun > 0 || this.remindedInThisRun));
  }

  private record(change: Omit<CartChange, 'at'>): void {
    this.content = recordChange(this.content, { at: now(), ...change });
  }

  /** Updates the current details. */
  private publish(): void {
    setCurrentDetails(describeCart(this.view, this.problem));
  }
}

export function now(): string {
  return new Date().toISOString();
}
