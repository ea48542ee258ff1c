import {
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TerminatedFailure,
} from '@temporalio/common';
import {
  CancellationScope,
  ChildWorkflowCancellationType,
  condition,
  executeChild,
  isCancellation,
  log,
  ParentClosePolicy,
  patched,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Quote } from '../../activities/catalogue.js';
import type { Activities } from '../../activities/index.js';
import type { ApprovalInput, ApprovalStatus, ApprovalView } from '../../schemas/approval.js';
import type {
  CancelRequest,
  OrderInput,
  OrderStage,
  OrderStatus,
  OrderView,
  ShipmentReport,
} from '../../schemas/order.js';
import type { Reason } from '../../schemas/reason.js';
import { APPROVAL_TASK_QUEUE, approvalWorkflowId } from '../approval/contract.js';
import { isRejection, NON_RETRYABLE, reasonOf, refused } from '../shared/failures.js';
import { malformedReasonRequest } from '../shared/reason-request.js';
import { PointOfNoReturn, Saga } from '../shared/saga.js';
import {
  cancelOrderUpdate,
  customerIdAttribute,
  DEFAULT_DELIVERY_TIMEOUT_SECONDS,
  orderStatusAttribute,
  orderStatusQuery,
  orderIdOf,
  PAYMENT_TASK_QUEUE,
  resolveCompensationUpdate,
  shipmentReportedSignal,
} from './contract.js';
import { askWhenSilent, waitForReports, type DeliveryClock } from './delivery.js';
import { isShipmentReport, Parcel } from './parcel.js';
import { secondsToNextTry } from './patience.js';
import { describeOrder, Timeline } from './timeline.js';

const nonRetryableErrorTypes = [...NON_RETRYABLE];

/** Short steps on our own database. A minute of retries bridges a restart of it. */
const onOurDatabase = {
  startToCloseTimeout: '5 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: {
    initialInterval: '100 milliseconds',
    backoffCoefficient: 2,
    maximumInterval: '10 seconds',
    maximumAttempts: 12,
    nonRetryableErrorTypes,
  },
} as const;
const local = proxyLocalActivities<Activities>(onOurDatabase);
const { quoteOrder, reserveStock } = local;
const regular = proxyActivities<Activities>({ ...onOurDatabase, summary: 'Put the stock back' });

/**
 * Calls to other people's systems. Ten attempts with these intervals bridge about four minutes of an outage. Their own
 * cancellation is awaited before anything is compensated, so that a refund never runs beside its charge.
 */
const outside = {
  startToCloseTimeout: '15 seconds',
  heartbeatTimeout: '5 seconds',
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  retry: {
    initialInterval: '1 second',
    backoffCoefficient: 2,
    maximumInterval: '1 minute',
    maximumAttempts: 10,
    nonRetryableErrorTypes,
  },
} as const;
const gateway = { ...outside, taskQueue: PAYMENT_TASK_QUEUE };
const { chargePayment } = proxyActivities<Activities>({ ...gateway, summary: 'Charge the customer' });
const { refundPayment } = proxyActivities<Activities>({ ...gateway, summary: 'Give the money back' });
const { requestShipment } = proxyActivities<Activities>({ ...outside, summary: 'Hand the order to the carrier' });
const { cancelShipment } = proxyActivities<Activities>({ ...outside, summary: 'Call the parcel back' });
const { trackShipment } = proxyActivities<Activities>({ ...outside, summary: 'Ask where the parcel is' });

/**
 * Sells an order: quote, reserve stock, have it approved if it is large, charge, ship, and wait until the carrier has delivered. Whatever ends it early
 * undoes what was done, last step first.
 *
 * Completes with the order's view when it is `completed`, `rejected`, or `cancelled` by update; a native cancellation
 * ends the run as Cancelled, anything else as Failed. Input that does not parse fails as `InvalidInput` with the list
 * of problems as details.
 */
export async function orderV2(input: OrderInput): Promise<OrderView> {
  return await sell(input, askWhenSilent);
}

/**
 * The order before `orderV2`: it believes that a carrier who does not report has not delivered. It starts no more, and
 * is here for the orders that were open when the new one came.
 */
export async function order(input: OrderInput): Promise<OrderView> {
  return await sell(input, waitForReports);
}

async function sell(input: OrderInput, deliveryClock: DeliveryClock): Promise<OrderView> {
  const { workflowId, firstExecutionRunId: owner, typedSearchAttributes } = workflowInfo();
  const orderId = orderIdOf(workflowId);
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
  const now = () => inSeconds(0);

  const view: OrderView = {
    orderId,
    status: 'processing',
    stage: 'quoting',
    steps: [],
    compensations: [],
  };
  const steps = new Timeline(view.steps, now);
  const compensations = new Timeline(view.compensations, now);
  const parcel = new Parcel();
  const cancellable = new CancellationScope();
  let overdue: boolean | undefined;
  let heardAt = 0;
  let reserved = false;
  let decision: 'retry' | 'skip' | undefined;
  const timesStuck: Record<string, number> = {};

  const saga = new Saga({
    onCompensation: (name, status) => {
      if (status === 'started') compensations.start(name);
      else compensations.end(name, status);
      enter('compensating');
    },
    onStuck: async (name, failure) => {
      const decided = () => decision !== undefined;
      const seconds = patched('retry-stuck-compensations') ? waitOfStuck(name) : undefined;
      compensations.mark(name, 'stuck', reasonOf(failure), seconds === undefined ? undefined : inSeconds(seconds));
      become('compensation_stuck');
      if (seconds === undefined) await condition(decided);
      else await condition(decided, seconds * 1000, { summary: `Next try of ${name}` });
      const taken = decision ?? 'retry';
      decision = undefined;
      become('processing');
      return taken;
    },
  });

  setHandler(orderStatusQuery, () => view);

  setHandler(shipmentReportedSignal, (report: unknown) => {
    if (!isShipmentReport(report, orderId)) {
      log.warn('ignored a malformed shipment report');
      return;
    }
    hear(report);
  });

  setHandler(
    cancelOrderUpdate,
    (request: CancelRequest | undefined) => {
      view.cancellation ??= { requestedAt: now(), ...(request?.reason && { reason: request.reason }) };
      cancellable.cancel();
      return view;
    },
    {
      validator: (request: unknown) => {
        const malformed = malformedReasonRequest(request);
        if (malformed) throw refused(malformed);
        // The stage, too: the carrier may have refused to stop a parcel that it has not reported yet.
        if (parcel.left || view.stage === 'in_transit' || view.cancellation?.refused) {
          throw refused({
            type: 'ParcelLeft',
            message: 'the carrier has the parcel, the order can no longer be cancelled',
          });
        }
        if (view.stage === 'done' || (view.stage === 'compensating' && !view.cancellation)) {
          throw refused({ type: 'OrderClosed', message: 'the order has already ended or is being undone' });
        }
      },
    },
  );

  setHandler(
    resolveCompensationUpdate,
    ({ action }) => {
      decision = action;
      return view;
    },
    {
      validator: (request: unknown) => {
        const action = (request as { action?: unknown } | null | undefined)?.action;
        if (action !== 'retry' && action !== 'skip') {
          throw refused({ type: 'InvalidInput', message: 'the argument must be {"action": "retry" | "skip"}' });
        }
        if (view.status !== 'compensation_stuck' || decision !== undefined) {
          throw refused({
            type: 'NotStuck',
            message: `no compensation of this order waits for a decision, it is ${view.status}`,
          });
        }
      },
    },
  );

  let failure = await failureOf(() => cancellable.run(fulfil));
  // A step that fails while it is being cancelled may report its own failure; who cancelled was told that it will be.
  if (failure && !isCancellation(failure) && cancellable.consideredCancelled && !parcel.left) {
    failure = new CancelledFailure(`cancelled during: ${reasonOf(failure).message}`, [], failure);
  }
  if (failure && !(await saga.compensate())) {
    // The carrier could not stop the parcel, so the order goes forward and ends as the parcel does.
    if (view.cancellation) view.cancellation.refused = true;
    failure = await failureOf(() => CancellationScope.nonCancellable(arrive));
    if (failure) await saga.compensate();
  }
  return conclude();

  async function fulfil(): Promise<void> {
    // Registered before the quote, not only before its step: a worker that dies in the first workflow task may have
    // reserved already, and the next one, which starts anew, may meet a cancellation or another catalogue.
    const quote = await saga.step(() => step('quoteOrder', 'quoting', quoteOrForget), {
      name: 'releaseStock',
      run: releaseStock,
    });
    view.customerId = quote.customerId;
    view.lines = quote.lines;
    view.total = quote.total;
    if (typedSearchAttributes.get(customerIdAttribute) !== quote.customerId) {
      upsertSearchAttributes([
        { key: customerIdAttribute, value: quote.customerId },
        { key: orderStatusAttribute, value: view.status },
      ]);
    }
    const lines = quote.lines.map(({ sku, quantity }) => ({ sku, quantity }));

    await step('reserveStock', 'reserving_stock', () => reserveStock({ orderId, owner, lines }));
    reserved = true;

    if (quote.approval) await step('approval', 'awaiting_approval', () => beApproved(quote.approval!));

    await saga.step(
      () =>
        step('chargePayment', 'charging_payment', () =>
          chargePayment({ orderId, amount: quote.total, token: input.payment.token }),
        ),
      { name: 'refundPayment', run: () => refundPayment({ orderId }) },
    );

    startDeliveryClock(quote.deliveryTimeoutSeconds ?? DEFAULT_DELIVERY_TIMEOUT_SECONDS);
    await saga.step(
      () =>
        step('requestShipment', 'requesting_shipment', async () => {
          const { shipmentId } = await requestShipment({ orderId, lines });
          parcel.shipmentId = shipmentId;
          view.shipment = { shipmentId, status: parcel.status };
        }),
      { name: 'cancelShipment', run: callParcelBack },
    );

    enter(parcel.left ? 'in_transit' : 'awaiting_pickup');
    await condition(() => parcel.left || overdue === true);
    if (!parcel.left) throw deliveryTimeout();
    await CancellationScope.nonCancellable(arrive);
  }

  /**
   * A local activity that ends while a query is answered may not replay with a patch behind it, and an order that is stuck
   * in it asks for one. So it is local only where it always was: when the reservation itself has failed.
   */
  async function releaseStock(): Promise<void> {
    const activities = reserved && patched('release-as-activity') ? regular : local;
    await activities.releaseStock({ orderId, owner });
  }

  /** Input that does not parse never did, so nothing can be reserved for it. */
  async function quoteOrForget(): Promise<Quote> {
    try {
      return await quoteOrder(input, workflowId);
    } catch (error) {
      if (error instanceof TemporalFailure && reasonOf(error).type === 'InvalidInput') saga.forget('releaseStock');
      throw error;
    }
  }

  /** A cancellation of the order withdraws the question, and waits until it is withdrawn. */
  async function beApproved(question: ApprovalInput): Promise<void> {
    const { approvalId } = question;
    view.approval = { approvalId, status: 'pending' };
    const { status } = await executeChild<(input: ApprovalInput) => Promise<ApprovalView>>('approval', {
      workflowId: approvalWorkflowId(approvalId),
      taskQueue: APPROVAL_TASK_QUEUE,
      args: [question],
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary: question.title,
    }).catch((error: unknown) => {
      if (!(error instanceof ChildWorkflowFailure)) throw error;
      view.approval = { approvalId, status: 'withdrawn' };
      // Cancelled or terminated past the order: somebody has taken the question away.
      const isOver = isCancellation(error) || error.cause instanceof TerminatedFailure;
      if (isOver && !cancellable.consideredCancelled) return { status: 'withdrawn' } as const;
      throw error;
    });
    view.approval = { approvalId, status };
    const refusal = NOT_APPROVED[status];
    if (refusal) throw refused(refusal);
  }

  /** From here on the order cannot be cancelled: the goods are on the road, and only the money can come back. */
  async function arrive(): Promise<void> {
    enter('in_transit');
    await condition(() => parcel.arrived || overdue === true);
    if (parcel.status === 'delivered') return;
    saga.forget('cancelShipment', 'releaseStock');
    throw parcel.status === 'lost'
      ? ApplicationFailure.create({ type: 'ShipmentLost', message: 'the carrier lost the parcel', category: 'BENIGN' })
      : deliveryTimeout();
  }

  async function callParcelBack(): Promise<void> {
    if (parcel.left) throw new PointOfNoReturn();
    const { status } = await cancelShipment({ orderId });
    if (status === 'already_picked_up') throw new PointOfNoReturn();
  }

  /** Not cancelled when the order is delivered: an order that is done needs no event that says so. */
  function startDeliveryClock(seconds: number): void {
    overdue = false;
    void CancellationScope.nonCancellable(async () => {
      await deliveryClock(seconds, { arrived: () => parcel.arrived, heardAt: () => heardAt, ask: askCarrier });
      overdue = true;
    });
  }

  /** His answer counts like a report; without one the order is where it was. */
  async function askCarrier(): Promise<void> {
    if (view.stage === 'compensating') return;
    try {
      const report = await trackShipment({ orderId });
      if (report) hear(report);
    } catch (error) {
      if (!(error instanceof TemporalFailure)) throw error;
      log.warn('could not ask the carrier', { ...reasonOf(error) });
    }
  }

  /** Counts how often it was stuck. Seconds until it is tried again by itself, if it is. */
  function waitOfStuck(name: string): number | undefined {
    const timesBefore = timesStuck[name] ?? 0;
    timesStuck[name] = timesBefore + 1;
    return secondsToNextTry(timesBefore);
  }

  function hear(report: ShipmentReport): void {
    if (!parcel.apply(report)) return;
    heardAt = Date.now();
    view.shipment = { shipmentId: report.shipmentId, status: report.status };
    if (view.stage === 'awaiting_pickup' && parcel.left) enter('in_transit');
  }

  async function step<T>(name: string, stage: OrderStage, run: () => Promise<T>): Promise<T> {
    enter(stage);
    steps.start(name);
    try {
      const result = await run();
      steps.end(name, 'completed');
      return result;
    } catch (error) {
      if (error instanceof TemporalFailure) {
        steps.end(name, isCancellation(error) ? 'cancelled' : 'failed', reasonOf(error));
      }
      throw error;
    }
  }

  function enter(stage: OrderStage): void {
    view.stage = stage;
    setCurrentDetails(describeOrder(view));
  }

  function become(status: OrderStatus): void {
    view.status = status;
    upsertSearchAttributes([{ key: orderStatusAttribute, value: status }]);
    setCurrentDetails(describeOrder(view));
  }

  function conclude(): OrderView {
    view.stage = 'done';
    if (!failure) {
      become('completed');
      return view;
    }
    view.reason = reasonOf(failure);
    const cancelled = isCancellation(failure);
    become(cancelled ? 'cancelled' : isRejection(failure) ? 'rejected' : 'failed');
    if (view.status === 'rejected' || (cancelled && view.cancellation)) return view;
    throw failure;
  }
}

/** The Temporal failure that ended `run`, if one did. Anything else is a bug, which must stop and not compensate. */
async function failureOf(run: () => Promise<void>): Promise<TemporalFailure | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    if (error instanceof TemporalFailure) return error;
    throw error;
  }
}

/** What an approval that did not end well means for the order. */
const NOT_APPROVED: Partial<Record<ApprovalStatus, Reason>> = {
  rejected: { type: 'ApprovalRejected', message: 'the order was not approved' },
  timed_out: { type: 'ApprovalTimedOut', message: 'nobody approved the order in time' },
  withdrawn: { type: 'ApprovalWithdrawn', message: 'the approval of the order was withdrawn' },
};

const deliveryTimeout = () =>
  ApplicationFailure.create({ type: 'DeliveryTimeout', message: 'the carrier did not deliver in time' });
