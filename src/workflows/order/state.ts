import {
  CancellationScope,
  isCancellation,
  log,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { TemporalFailure } from '@temporalio/common';
import type { ReservedOrder } from '../../activities/orders.js';
import type {
  DeliveryDecision,
  OrderInput,
  OrderStage,
  OrderStatus,
  OrderView,
  ShipmentReport,
} from '../../schemas/order.js';
import { reasonOf } from '../shared/failures.js';
import { Saga, type Compensation } from '../shared/saga.js';
import { recordContradictingReport, recordOrderStatus } from './activities.js';
import { customerIdAttribute, orderIdOf, orderStatusAttribute } from './contract.js';
import type { DeliveryMonitor } from './delivery-monitor.js';
import { describeOrder } from './details.js';
import { Parcel } from './parcel.js';
import { CompensationTimeline, Timeline } from './timeline.js';

interface OrderStep<T> {
  /** The name of the step in the timeline. */
  name: string;
  stage: OrderStage;
  run: () => Promise<T>;
  compensation?: Compensation;
}

/** The complete state of an order, and its transitions. Queries, updates and the workflow result return `view`. */
export class OrderState {
  readonly view: OrderView;
  readonly parcel = new Parcel();
  /**
   * A cancellation of the order cancels this scope. After the pickup of the parcel, the scope contains no cancellable
   * work.
   */
  readonly cancellableScope = new CancellationScope();
  readonly compensations: CompensationTimeline;
  readonly saga: Saga;
  deliveryMonitor: DeliveryMonitor | undefined;
  hasInvalidInput = false;
  /** Whether the goods are lost or written off. The stock is then not returned. */
  isStockWrittenOff = false;
  /** An operator's decision that has not taken effect yet. */
  deliveryDecision: DeliveryDecision | undefined;

  /** Identifies the order in store activities. */
  readonly key: { orderId: string; firstRunId: string; placedAt: string; input: OrderInput };
  private readonly steps: Timeline<OrderView['steps'][number]>;
  /** The current value of the search attribute. The client or `onReserved` sets the first value. */
  private publishedStatus: OrderStatus = 'processing';
  /** Resolves when all records requested so far are in the store. Undefined if none is being written. */
  private recording: Promise<void> | undefined;

  constructor(input: OrderInput) {
    const { workflowId, firstExecutionRunId: firstRunId, startTime } = workflowInfo();
    const orderId = orderIdOf(workflowId);
    this.key = { orderId, firstRunId, placedAt: startTime.toISOString(), input };
    this.view = { orderId, status: 'processing', stage: 'reserving_stock', steps: [], compensations: [] };
    this.steps = new Timeline(this.view.steps, (name, startedAt) => ({ name, status: 'started', startedAt }));
    this.compensations = new CompensationTimeline(this.view.compensations, (entry) => this.onCompensationChange(entry));
    this.saga = new Saga(this.compensations);
  }

  enterStage(stage: OrderStage): void {
    this.view.stage = stage;
    this.publish();
  }

  /** Sets the final status. The status of an open order depends on what waits for an operator. */
  close(status: OrderStatus): void {
    this.view.stage = 'done';
    this.parcel.dropEarlyReports();
    this.showIgnoredReports();
    this.view.status = status;
    this.publish();
  }

  /** Registers the compensation if there is one, runs the step, and records the step in the timeline. */
  async runStep<T>({ name, stage, run, compensation }: OrderStep<T>): Promise<T> {
    this.enterStage(stage);
    this.steps.start(name);
    try {
      const result = await (compensation ? this.saga.runStep(run, compensation) : run());
      this.steps.end(name, 'completed');
      return result;
    } catch (error) {
      if (error instanceof TemporalFailure)
        this.steps.end(name, isCancellation(error) ? 'cancelled' : 'failed', reasonOf(error));
      throw error;
    }
  }

  /**
   * Shows the priced order. Sets the search attribute `CustomerId` if the client that started the workflow did not set
   * it.
   */
  onReserved({ customerId, lines, total }: ReservedOrder): void {
    Object.assign(this.view, { customerId, lines, total });
    if (workflowInfo().typedSearchAttributes.get(customerIdAttribute) === customerId) return;
    upsertSearchAttributes([
      { key: customerIdAttribute, value: customerId },
      { key: orderStatusAttribute, value: this.view.status },
    ]);
  }

  private onCompensationChange({ name, status }: OrderView['compensations'][number]): void {
    if (name === 'releaseStock' && status === 'skipped') this.isStockWrittenOff = true;
    this.enterStage('compensating');
    this.updateStatus();
  }

  /**
   * Whether the delivery is overdue and no operator has decided about it yet. `attempt` counts how often the delivery
   * became overdue, so a decision about an earlier time does not count.
   */
  isOverdue(attempt: number): boolean {
    const { delivery } = this.view;
    return delivery?.overdueSince !== undefined && delivery.attempt === attempt && !this.deliveryDecision;
  }

  setDeliveryMonitor(monitor: DeliveryMonitor): void {
    this.deliveryMonitor = monitor;
    this.showDueTime();
  }

  /**
   * Sets the end of the carrier's time limit to `seconds` from now. The default is the delivery timeout of the order.
   */
  extendDelivery(seconds?: number): void {
    this.deliveryMonitor?.extend(seconds);
    this.showDueTime();
  }

  /** Shows that the order waits for an operator's decision about the delivery. */
  onDeliveryOverdue(): void {
    const delivery = this.view.delivery!;
    delivery.attempt = (delivery.attempt ?? 0) + 1;
    delivery.overdueSince = new Date().toISOString();
    this.updateStatus();
  }

  /** Shows that the order no longer waits for an operator's decision about the delivery. */
  onDeliveryDecided(): void {
    this.deliveryDecision = undefined;
    delete this.view.delivery!.overdueSince;
    this.updateStatus();
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

  /** Sets the shipment id that the carrier returned for one of our calls. */
  onShipmentConfirmed(shipmentId: string): void {
    const { hasLeft } = this.parcel;
    // The carrier's time limit starts when the carrier accepts the shipment.
    if (this.parcel.shipmentId === undefined) this.extendDelivery();
    const isNews = this.parcel.setShipmentId(shipmentId);
    this.showShipment();
    this.showIgnoredReports();
    if (isNews) this.onShipmentStatusChange(hasLeft);
  }

  /**
   * Handles a cancellation of the shipment that the carrier rejected. The parcel is in transit, and the carrier's time
   * limit restarts.
   */
  onShipmentCancelRejected(): void {
    this.parcel.markLeft();
    this.extendDelivery();
    this.showShipment();
  }

  /** Handles a cancellation of the shipment that the carrier accepted. */
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

  /** Waits until the store has all records, also those requested during the wait. */
  async waitUntilRecorded(): Promise<void> {
    while (this.recording) {
      const awaited = this.recording;
      await awaited;
      if (awaited === this.recording) this.recording = undefined;
    }
  }

  private onShipmentStatusChange(hadLeft: boolean): void {
    this.deliveryMonitor?.recordNews();
    this.showShipment();
    if (!this.parcel.hasLeft || hadLeft) return;
    this.extendDelivery();
    if (this.view.stage === 'awaiting_pickup') this.enterStage('in_transit');
  }

  /**
   * The order ignores reports after the final status of its parcel. A contradicting report is recorded for an operator.
   */
  private recordContradictingReport({ shipmentId, status }: ShipmentReport): void {
    log.warn('a shipment report contradicts the final status of the parcel', { status, final: this.parcel.status });
    const report = { orderId: this.key.orderId, shipmentId, status };
    this.enqueueRecord(() => recordContradictingReport(report));
  }

  /**
   * Writes a record to the store after all earlier records. A cancellation of the order does not interrupt the write.
   */
  private enqueueRecord(write: () => Promise<void>): void {
    const earlier = this.recording ?? Promise.resolve();
    this.recording = CancellationScope.nonCancellable(() => earlier.then(write));
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
    const hasChanged = status !== this.view.status;
    this.view.status = status;
    this.publish();
    if (!hasChanged) return;
    const { orderId, firstRunId } = this.key;
    const record = { orderId, firstRunId, status, stage: this.view.stage } as const;
    this.enqueueRecord(() => recordOrderStatus(record));
  }

  /** Updates the current details. If the status changed, also updates the search attribute. */
  private publish(): void {
    setCurrentDetails(describeOrder(this.view));
    const { status } = this.view;
    if (this.publishedStatus === status) return;
    this.publishedStatus = status;
    upsertSearchAttributes([{ key: orderStatusAttribute, value: status }]);
  }
}
