import {
  CancellationScope,
  condition,
  isCancellation,
  log,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { TemporalFailure } from '@temporalio/common';
import type {
  CompensationDecision,
  DeliveryDecision,
  OrderInput,
  OrderStage,
  OrderStatus,
  OrderView,
  ShipmentReport,
} from '../../schemas/order.js';
import { reasonOf } from '../shared/failures.js';
import type { SagaObserver } from '../shared/saga.js';
import { recordContradictingReport, recordOrderStatus, trackShipment } from './activities.js';
import {
  STUCK_RETRY_INITIAL_SECONDS,
  STUCK_RETRY_MAXIMUM_SECONDS,
  MAX_STUCK_RETRIES,
  orderIdOf,
  orderStatusAttribute,
} from './contract.js';
import { DeliveryMonitor } from './delivery-monitor.js';
import { Parcel } from './parcel.js';
import { describeOrder, Timeline } from './timeline.js';

const isoTimeAfter = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString();

/**
 * Seconds until the automatic retry of a compensation that was parked `attempt` times. Undefined when only an operator
 * can retry it.
 */
export const stuckRetryDelaySeconds = (attempt: number): number | undefined =>
  attempt <= MAX_STUCK_RETRIES
    ? Math.min(STUCK_RETRY_INITIAL_SECONDS * 2 ** (attempt - 1), STUCK_RETRY_MAXIMUM_SECONDS)
    : undefined;

type Step = OrderView['steps'][number];
type Compensation = OrderView['compensations'][number];

/** The complete state of an order. The view is returned by queries, updates and the result. */
export class OrderState {
  readonly view: OrderView;
  readonly parcel = new Parcel();
  /** The scope that a cancellation cancels. Once the parcel is picked up, no cancellable work remains in it. */
  readonly cancellableScope = new CancellationScope();
  deliveryMonitor: DeliveryMonitor | undefined;
  /** The goods are lost or written off, so the stock is not returned. */
  isStockWrittenOff = false;
  /** Operators' decisions that have not taken effect yet. */
  readonly compensationDecisions = new Map<string, CompensationDecision['action']>();
  deliveryDecision: DeliveryDecision | undefined;

  /** Identifies the order in store activities. */
  readonly key: { orderId: string; firstRunId: string; placedAt: string; input: OrderInput };
  private readonly steps: Timeline<Step>;
  private readonly compensations: Timeline<Compensation>;
  private recording: Promise<void> = Promise.resolve();

  constructor(input: OrderInput) {
    const { workflowId, firstExecutionRunId: firstRunId, startTime } = workflowInfo();
    const orderId = orderIdOf(workflowId);
    this.key = { orderId, firstRunId, placedAt: startTime.toISOString(), input };
    this.view = { orderId, status: 'processing', stage: 'reserving_stock', steps: [], compensations: [] };
    this.steps = new Timeline(this.view.steps, (name, startedAt) => ({ name, status: 'started', startedAt }));
    this.compensations = new Timeline(this.view.compensations, (name, startedAt) => ({
      name,
      status: 'started',
      startedAt,
      attempt: 0,
    }));
  }

  enterStage(stage: OrderStage): void {
    this.view.stage = stage;
    setCurrentDetails(describeOrder(this.view));
  }

  /** Sets the final status. The status of an open order depends on what is parked. */
  close(status: OrderStatus): void {
    this.view.stage = 'done';
    this.parcel.dropEarlyReports();
    this.showIgnoredReports();
    this.setStatus(status);
  }

  /** Runs a step and records it in the timeline. */
  async runStep<T>(name: string, stage: OrderStage, run: () => Promise<T>): Promise<T> {
    this.enterStage(stage);
    this.steps.start(name);
    try {
      const result = await run();
      this.steps.end(name, 'completed');
      return result;
    } catch (error) {
      if (error instanceof TemporalFailure)
        this.steps.end(name, isCancellation(error) ? 'cancelled' : 'failed', reasonOf(error));
      throw error;
    }
  }

  /**
   * Records compensations in the timeline. Parks a failing compensation until an operator decides or its retry is due.
   */
  readonly sagaObserver: SagaObserver = {
    onCompensation: (name, status) => {
      if (status === 'started') this.compensations.start(name).attempt += 1;
      else this.compensations.end(name, status);
      delete this.compensations.find(name)!.nextAttemptAt;
      if (name === 'releaseStock' && status === 'skipped') this.isStockWrittenOff = true;
      this.enterStage('compensating');
      this.updateStatus();
    },
    onStuck: async (name, failure) => {
      const entry = this.compensations.find(name)!;
      const seconds = stuckRetryDelaySeconds(entry.attempt);
      entry.status = 'stuck';
      entry.reason = reasonOf(failure);
      if (seconds !== undefined) entry.nextAttemptAt = isoTimeAfter(seconds);
      this.updateStatus();
      const isDecided = () => this.compensationDecisions.has(name);
      if (seconds === undefined) await condition(isDecided);
      else await condition(isDecided, seconds * 1000, { summary: `Next retry of ${name}` });
      const action = this.compensationDecisions.get(name) ?? 'retry';
      this.compensationDecisions.delete(name);
      return action;
    },
  };

  /** Whether this attempt of the compensation waits for a decision. */
  isStuck(name: string, attempt?: number): boolean {
    const entry = this.compensations.find(name);
    const isIt = entry?.status === 'stuck' && (attempt === undefined || entry.attempt === attempt);
    return isIt && !this.compensationDecisions.has(name);
  }

  isOverdue(attempt: number): boolean {
    const { delivery } = this.view;
    return delivery?.overdueSince !== undefined && delivery.attempt === attempt && !this.deliveryDecision;
  }

  startDeliveryMonitor(seconds: number): void {
    this.deliveryMonitor = new DeliveryMonitor({ seconds, parcel: this.parcel, ask: () => this.pollCarrier() });
    this.showDueTime();
    this.deliveryMonitor.start();
  }

  /** Extends the carrier's time limit, by the order's own limit unless given. */
  extendDelivery(seconds?: number): void {
    this.deliveryMonitor?.extend(seconds);
    this.showDueTime();
  }

  /** Parks the order until an operator decides about the delivery, or until `isNews` returns true. */
  async awaitDeliveryDecision(isNews: () => boolean): Promise<DeliveryDecision | undefined> {
    const delivery = this.view.delivery!;
    delivery.attempt = (delivery.attempt ?? 0) + 1;
    delivery.overdueSince = isoTimeAfter(0);
    this.updateStatus();
    try {
      await condition(() => this.deliveryDecision !== undefined || isNews());
      // News takes precedence, because the operator decided without it.
      return isNews() ? undefined : this.deliveryDecision;
    } finally {
      this.deliveryDecision = undefined;
      delete delivery.overdueSince;
      this.updateStatus();
    }
  }

  onShipmentReport(report: ShipmentReport): void {
    const { parcel } = this;
    const { hasLeft, ignoredReportCount } = parcel;
    if (parcel.contradicts(report)) this.recordContradictingReport(report);
    const isNews = parcel.applyReport(report);
    if (parcel.ignoredReportCount > ignoredReportCount) {
      log.warn('ignored a shipment report: it is about another parcel', { status: report.status });
      this.showIgnoredReports();
    }
    if (isNews) this.onShipmentStatusChange(hasLeft);
  }

  /** Sets the shipment id from the carrier's response to one of our calls. */
  onShipmentConfirmed(shipmentId: string): void {
    const { hasLeft } = this.parcel;
    // The carrier's time limit starts when the carrier accepts the shipment.
    if (this.parcel.shipmentId === undefined) this.extendDelivery();
    const isNews = this.parcel.setShipmentId(shipmentId);
    this.showShipment();
    this.showIgnoredReports();
    if (isNews) this.onShipmentStatusChange(hasLeft);
  }

  /** Handles a rejected cancellation: the parcel is in transit, and the carrier's time limit restarts. */
  onShipmentCancelRejected(): void {
    this.parcel.markLeft();
    this.extendDelivery();
    this.showShipment();
  }

  /** Handles a successful cancellation of the shipment. */
  onShipmentCancelled(): void {
    this.parcel.markCancelled();
    this.showShipment();
  }

  /** Handles an operator's decision that the parcel was delivered. */
  onDeliveryConfirmed(): void {
    this.parcel.markDelivered();
    this.showShipment();
  }

  private showShipment(): void {
    const { shipmentId, status } = this.parcel;
    if (shipmentId !== undefined) this.view.shipment = { shipmentId, status };
  }

  /** Waits until the store has the latest status. */
  async waitUntilRecorded(): Promise<void> {
    await this.recording;
  }

  private onShipmentStatusChange(hadLeft: boolean): void {
    this.deliveryMonitor?.recordNews();
    this.showShipment();
    if (!this.parcel.hasLeft || hadLeft) return;
    this.extendDelivery();
    if (this.view.stage === 'awaiting_pickup') this.enterStage('in_transit');
  }

  /** Polls the carrier and treats the response as a report. @returns whether the carrier responded. */
  async pollCarrier(): Promise<boolean> {
    if (this.view.stage === 'compensating') return true;
    try {
      const report = await trackShipment({ orderId: this.key.orderId });
      if (report) {
        this.onShipmentConfirmed(report.shipmentId);
        this.onShipmentReport(report);
      }
      return true;
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      log.warn('could not ask the carrier', { ...reasonOf(error) });
      return false;
    }
  }

  /**
   * An order ignores reports after the final status of its parcel. A contradicting report is recorded for an operator.
   */
  private recordContradictingReport({ shipmentId, status }: ShipmentReport): void {
    log.warn('a shipment report contradicts the final status of the parcel', { status, final: this.parcel.status });
    const report = { orderId: this.key.orderId, shipmentId, status };
    this.enqueueRecord(() => recordContradictingReport(report));
  }

  /** Records something in the store, after what was recorded before, also when the order is being cancelled. */
  private enqueueRecord(write: () => Promise<void>): void {
    this.recording = CancellationScope.nonCancellable(() => this.recording.then(write));
  }

  private showIgnoredReports(): void {
    if (this.parcel.ignoredReportCount > 0) this.view.ignoredReportCount = this.parcel.ignoredReportCount;
  }

  private showDueTime(): void {
    if (!this.deliveryMonitor) return;
    const dueAt = new Date(this.deliveryMonitor.dueAt).toISOString();
    if (this.view.delivery) this.view.delivery.dueAt = dueAt;
    else this.view.delivery = { dueAt };
  }

  private updateStatus(): void {
    const isStuck = this.view.compensations.some(({ status }) => status === 'stuck');
    const isOverdue = this.view.delivery?.overdueSince !== undefined;
    const status = isStuck ? 'compensation_stuck' : isOverdue ? 'delivery_overdue' : 'processing';
    if (status === this.view.status) {
      setCurrentDetails(describeOrder(this.view));
      return;
    }
    this.setStatus(status);
    const { orderId, firstRunId } = this.key;
    const record = { orderId, firstRunId, status, stage: this.view.stage } as const;
    this.enqueueRecord(() => recordOrderStatus(record));
  }

  private setStatus(status: OrderStatus): void {
    this.view.status = status;
    upsertSearchAttributes([{ key: orderStatusAttribute, value: status }]);
    setCurrentDetails(describeOrder(this.view));
  }
}

/**
 * The Temporal failure that ended `run`, if any. Any other error is a bug and is rethrown, because it must not trigger
 * compensation.
 */
export async function catchTemporalFailure(run: () => Promise<void>): Promise<TemporalFailure | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof TemporalFailure) return error;
    throw error;
  }
}
