import {
  ApplicationFailure,
  CancelledFailure,
  TemporalFailure,
  type ApplicationFailureOptions,
} from '@temporalio/common';
import {
  allHandlersFinished,
  CancellationScope,
  condition,
  isCancellation,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { OrderInput, OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { isRejection, reasonOf, rejectionFailure } from '../shared/failures.js';
import { PointOfNoReturn, Saga } from '../shared/saga.js';
import {
  cancelShipment,
  chargePayment,
  closeOrder,
  refundPayment,
  releaseStock,
  requestShipment,
  reserveStock,
} from './activities.js';
import { awaitApproval } from './approval.js';
import { customerIdAttribute, DEFAULT_DELIVERY_TIMEOUT_SECONDS, orderStatusAttribute } from './contract.js';
import { registerHandlers } from './handlers.js';
import { catchTemporalFailure, OrderState } from './state.js';

/**
 * Processes an order: reserve the stock, get a large order approved, charge, ship, and wait for the delivery. A failure
 * or cancellation compensates the completed steps in reverse order.
 *
 * Completes with the order's view when the order is `completed`, `rejected`, or `cancelled` by update. A native
 * cancellation ends the run as Cancelled, any other failure as Failed. Invalid input fails with `InvalidInput` and the
 * list of problems as details.
 */
export async function order(input: OrderInput): Promise<OrderView> {
  const state = new OrderState(input);
  const { view, parcel, key } = state;
  const { orderId, firstRunId } = key;
  const saga = new Saga(state.sagaObserver);
  const refund = { name: 'refundPayment', run: () => refundPayment({ orderId }) };
  registerHandlers(state);
  /** Invalid input has no order that could be recorded. */
  let isUnreadable = false;

  let failure = await catchTemporalFailure(() => state.cancellableScope.run(fulfil));
  // A step that fails during a cancellation may throw its own failure. The caller was promised a cancellation, so
  // report that.
  if (failure && !isCancellation(failure) && state.cancellableScope.consideredCancelled && !parcel.hasLeft) {
    failure = new CancelledFailure(`cancelled during: ${reasonOf(failure).message}`, [], failure);
  }
  if (failure && !(await saga.compensate())) {
    // The carrier could not stop the parcel, so the order continues and its outcome depends on the delivery.
    failure = await catchTemporalFailure(() => CancellationScope.nonCancellable(awaitDelivery));
    if (failure) await saga.compensate();
  }
  return await CancellationScope.nonCancellable(conclude);

  async function fulfil(): Promise<void> {
    const quote = await saga.runStep(reserve, { name: 'releaseStock', run: () => releaseStock(key) });
    const { lines, total, approval } = quote;
    if (quote.hasNoEligibleApprover) throw rejectionFailure(NO_APPROVER);
    if (approval) await state.runStep('approval', 'awaiting_approval', () => awaitApproval(state, approval));

    if (total.value > 0) {
      const charge = () => chargePayment({ orderId, firstRunId, amount: total, token: input.payment.token });
      await saga.runStep(() => state.runStep('chargePayment', 'charging_payment', charge), refund);
    }

    await saga.runStep(
      () =>
        state.runStep('requestShipment', 'requesting_shipment', async () => {
          state.startDeliveryMonitor(quote.deliveryTimeoutSeconds ?? DEFAULT_DELIVERY_TIMEOUT_SECONDS);
          const wanted = lines.map(({ sku, quantity }) => ({ sku, quantity }));
          const { shipmentId } = await requestShipment({ orderId, firstRunId, lines: wanted });
          state.onShipmentConfirmed(shipmentId);
        }),
      { name: 'cancelShipment', run: callParcelBack, isBlocking: true },
    );
    await awaitPickup();
    await CancellationScope.nonCancellable(awaitDelivery);
  }

  async function reserve() {
    try {
      const { workflowId, typedSearchAttributes } = workflowInfo();
      const quote = await state.runStep('reserveStock', 'reserving_stock', () => reserveStock({ ...key, workflowId }));
      Object.assign(view, { customerId: quote.customerId, lines: quote.lines, total: quote.total });
      if (typedSearchAttributes.get(customerIdAttribute) !== quote.customerId) {
        upsertSearchAttributes([
          { key: customerIdAttribute, value: quote.customerId },
          { key: orderStatusAttribute, value: view.status },
        ]);
      }
      return quote;
    } catch (error) {
      // After a rejection or invalid input, nothing was reserved.
      if (error instanceof TemporalFailure && provesNothingReserved(error)) saga.unregister('releaseStock');
      // An earlier run charged and rolled back before the reset. Its refund may still be stuck; its shipment is already
      // cancelled.
      if (error instanceof TemporalFailure && reasonOf(error).type === 'ReservationReleased') saga.register(refund);
      isUnreadable = error instanceof TemporalFailure && reasonOf(error).type === 'InvalidInput';
      throw error;
    }
  }

  async function awaitPickup(): Promise<void> {
    const isNews = () => parcel.hasLeft || parcel.isFinal;
    state.enterStage(parcel.hasLeft ? 'in_transit' : 'awaiting_pickup');
    while (!isNews()) {
      await condition(() => isNews() || state.deliveryMonitor?.expiry !== undefined);
      if (isNews()) return;
      if (state.deliveryMonitor?.expiry === 'no_news') throw ApplicationFailure.create(DELIVERY_TIMEOUT);
      await decideDelivery(isNews);
    }
  }

  /**
   * The order can no longer be cancelled, because the goods are in transit. Only a final status leads to a refund,
   * never a timer.
   */
  async function awaitDelivery(): Promise<void> {
    if (view.cancellation && parcel.hasLeft) view.cancellation.rejected = true;
    if (!parcel.isFinal) state.enterStage('in_transit');
    // The response to the shipment request was lost, and the shipment id with it.
    if (parcel.shipmentId === undefined) await state.pollCarrier();
    while (!parcel.isFinal) {
      await condition(() => parcel.isFinal || state.deliveryMonitor?.expiry !== undefined);
      if (!parcel.isFinal) await decideDelivery(() => parcel.isFinal);
    }
    if (parcel.status === 'lost') throw writtenOff(SHIPMENT_LOST);
    if (parcel.status === 'cancelled') {
      saga.unregister('cancelShipment');
      throw parcel.hasLeft ? writtenOff(CANCELLED_BY_CARRIER) : ApplicationFailure.create(CANCELLED_BY_CARRIER);
    }
  }

  async function decideDelivery(isNews: () => boolean): Promise<void> {
    const decision = await state.awaitDeliveryDecision(isNews);
    if (decision?.action === 'wait') state.extendDelivery(decision.extendBySeconds);
    if (decision?.action === 'delivered') state.onDeliveryConfirmed();
    if (decision?.action === 'write_off') throw writtenOff(WRITTEN_OFF);
  }

  /** The goods are lost, so only the payment is compensated. */
  function writtenOff(failure: ApplicationFailureOptions): ApplicationFailure {
    saga.unregister('cancelShipment', 'releaseStock');
    state.isStockWrittenOff = true;
    return ApplicationFailure.create(failure);
  }

  async function callParcelBack(): Promise<void> {
    if (parcel.hasLeft) throw new PointOfNoReturn();
    const { status } = await cancelShipment({ orderId });
    if (status === 'already_picked_up') {
      state.onShipmentCancelRejected();
      throw new PointOfNoReturn();
    }
    state.onShipmentCancelled();
  }

  /** Sets the outcome, records it in the store, and ends the run. */
  async function conclude(): Promise<OrderView> {
    if (failure) view.reason = isCancellation(failure) ? cancellationReasonOf(view) : reasonOf(failure);
    state.close(finalStatusOf(failure));
    await state.waitUntilRecorded();
    if (!isUnreadable) {
      const reservation = failure ? (state.isStockWrittenOff ? 'written_off' : 'released') : 'sold';
      await closeOrder({ ...key, view, reservation });
    }
    await condition(allHandlersFinished);
    if (failure && view.status !== 'rejected' && !(view.status === 'cancelled' && view.cancellation)) throw failure;
    return view;
  }
}

const provesNothingReserved = (failure: TemporalFailure): boolean =>
  isRejection(failure) || reasonOf(failure).type === 'InvalidInput';

function finalStatusOf(failure: TemporalFailure | undefined): OrderView['status'] {
  if (!failure) return 'completed';
  if (isCancellation(failure)) return 'cancelled';
  return isRejection(failure) ? 'rejected' : 'failed';
}

function cancellationReasonOf({ cancellation }: OrderView): Reason {
  if (!cancellation) return { type: 'Cancelled', message: 'the workflow of the order was cancelled' };
  const why = cancellation.reason === undefined ? '' : `: ${cancellation.reason}`;
  return { type: 'Cancelled', message: `the order was cancelled on request${why}` };
}

const NO_APPROVER = { type: 'NoApprover', message: 'the order needs an approval, and only its customer could give it' };
const DELIVERY_TIMEOUT = { type: 'DeliveryTimeout', message: 'the carrier did not pick the parcel up in time' };
const SHIPMENT_LOST = { type: 'ShipmentLost', message: 'the carrier lost the parcel', category: 'BENIGN' } as const;
const CANCELLED_BY_CARRIER = {
  type: 'CancelledByCarrier',
  message: 'the carrier cancelled the shipment',
  category: 'BENIGN',
} as const;
const WRITTEN_OFF = { type: 'WrittenOff', message: 'an operator wrote the parcel off', category: 'BENIGN' } as const;
