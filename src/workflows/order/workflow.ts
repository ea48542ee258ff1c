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
import type { Reason } from '../../schemas/reason.js';
import { isRejection, reasonOf, refused } from '../shared/failures.js';
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
import { failureOf, OrderState } from './state.js';

/**
 * Sells an order: reserve the stock, have a large order approved, charge, ship, and wait for the delivery. A failure or
 * cancellation compensates what was done, last step first.
 *
 * Completes with the order's view when the order is `completed`, `rejected`, or `cancelled` by update; a native
 * cancellation ends the run as Cancelled, anything else as Failed. Input that does not parse fails as `InvalidInput` with
 * the list of problems as details.
 */
export async function order(input: OrderInput): Promise<OrderView> {
  const state = new OrderState(input);
  const { view, parcel, key } = state;
  const { orderId, owner } = key;
  const saga = new Saga(state.sagaObserver);
  const refund = { name: 'refundPayment', run: () => refundPayment({ orderId }) };
  registerHandlers(state);
  /** The input names no order that could be recorded. */
  let isUnreadable = false;

  let failure = await failureOf(() => state.cancellable.run(fulfil));
  // A step that fails while it is being cancelled may report its own failure. The caller was promised a cancellation.
  if (failure && !isCancellation(failure) && state.cancellable.consideredCancelled && !parcel.hasLeft) {
    failure = new CancelledFailure(`cancelled during: ${reasonOf(failure).message}`, [], failure);
  }
  if (failure && !(await saga.compensate())) {
    // The carrier could not stop the parcel, so the order goes forward and ends as the parcel does.
    failure = await failureOf(() => CancellationScope.nonCancellable(awaitDelivery));
    if (failure) await saga.compensate();
  }
  return await CancellationScope.nonCancellable(conclude);

  async function fulfil(): Promise<void> {
    const quote = await saga.step(reserve, { name: 'releaseStock', run: () => releaseStock(key) });
    const { lines, total, approval } = quote;
    if (quote.hasNoApprover) throw refused(NO_APPROVER);
    if (approval) await state.step('approval', 'awaiting_approval', () => awaitApproval(state, approval));

    if (total.value > 0) {
      const charge = () => chargePayment({ orderId, owner, amount: total, token: input.payment.token });
      await saga.step(() => state.step('chargePayment', 'charging_payment', charge), refund);
    }

    await saga.step(
      () =>
        state.step('requestShipment', 'requesting_shipment', async () => {
          state.startClock(quote.deliveryTimeoutSeconds ?? DEFAULT_DELIVERY_TIMEOUT_SECONDS);
          const wanted = lines.map(({ sku, quantity }) => ({ sku, quantity }));
          const { shipmentId } = await requestShipment({ orderId, owner, lines: wanted });
          state.onShipment(shipmentId);
        }),
      { name: 'cancelShipment', run: callParcelBack, isGate: true },
    );
    await awaitPickup();
    await CancellationScope.nonCancellable(awaitDelivery);
  }

  async function reserve() {
    try {
      const { workflowId, typedSearchAttributes } = workflowInfo();
      const quote = await state.step('reserveStock', 'reserving_stock', () => reserveStock({ ...key, workflowId }));
      Object.assign(view, { customerId: quote.customerId, lines: quote.lines, total: quote.total });
      if (typedSearchAttributes.get(customerIdAttribute) !== quote.customerId) {
        upsertSearchAttributes([
          { key: customerIdAttribute, value: quote.customerId },
          { key: orderStatusAttribute, value: view.status },
        ]);
      }
      return quote;
    } catch (error) {
      // A rejection says that nothing was reserved; so does input that never parses.
      if (error instanceof TemporalFailure && isNothingReserved(error)) saga.forget('releaseStock');
      // An earlier run charged, rolled back, and was reset. Its refund may be stuck; its shipment is called back already.
      if (error instanceof TemporalFailure && reasonOf(error).type === 'ReservationReleased') saga.register(refund);
      isUnreadable = error instanceof TemporalFailure && reasonOf(error).type === 'InvalidInput';
      throw error;
    }
  }

  async function awaitPickup(): Promise<void> {
    const isNews = () => parcel.hasLeft || parcel.isFinal;
    state.enter(parcel.hasLeft ? 'in_transit' : 'awaiting_pickup');
    while (!isNews()) {
      await condition(() => isNews() || state.clock?.expiry !== undefined);
      if (isNews()) return;
      if (state.clock?.expiry === 'no_news') throw ApplicationFailure.create(DELIVERY_TIMEOUT);
      await decideDelivery(isNews);
    }
  }

  /** From here on the order cannot be cancelled: the goods are on the road. No timer refunds them, only a final word. */
  async function awaitDelivery(): Promise<void> {
    if (view.cancellation && parcel.hasLeft) view.cancellation.refused = true;
    if (!parcel.isFinal) state.enter('in_transit');
    // The answer to the request was lost, and with it the id of the shipment.
    if (parcel.shipmentId === undefined) await state.askCarrier();
    while (!parcel.isFinal) {
      await condition(() => parcel.isFinal || state.clock?.expiry !== undefined);
      if (!parcel.isFinal) await decideDelivery(() => parcel.isFinal);
    }
    if (parcel.status === 'lost') throw writtenOff(SHIPMENT_LOST);
    if (parcel.status === 'cancelled') {
      saga.forget('cancelShipment');
      throw parcel.hasLeft ? writtenOff(CANCELLED_BY_CARRIER) : ApplicationFailure.create(CANCELLED_BY_CARRIER);
    }
  }

  async function decideDelivery(isNews: () => boolean): Promise<void> {
    const decision = await state.parkDelivery(isNews);
    if (decision?.action === 'wait') state.extendDelivery(decision.seconds);
    if (decision?.action === 'delivered') state.onDelivered();
    if (decision?.action === 'write_off') throw writtenOff(WRITTEN_OFF);
  }

  /** The goods are gone, only the money can come back. */
  function writtenOff(failure: ApplicationFailureOptions): ApplicationFailure {
    saga.forget('cancelShipment', 'releaseStock');
    state.goodsAreGone = true;
    return ApplicationFailure.create(failure);
  }

  async function callParcelBack(): Promise<void> {
    if (parcel.hasLeft) throw new PointOfNoReturn();
    const { status } = await cancelShipment({ orderId });
    if (status === 'already_picked_up') {
      state.onAlreadyLeft();
      throw new PointOfNoReturn();
    }
    state.onCalledBack();
  }

  /** Sets the outcome, records it in the store, and ends the run. */
  async function conclude(): Promise<OrderView> {
    if (failure) view.reason = isCancellation(failure) ? cancellationOf(view) : reasonOf(failure);
    state.close(statusOf(failure));
    await state.recorded();
    if (!isUnreadable) {
      const reservation = failure ? (state.goodsAreGone ? 'written_off' : 'released') : 'sold';
      await closeOrder({ ...key, view, reservation });
    }
    await condition(allHandlersFinished);
    if (failure && view.status !== 'rejected' && !(view.status === 'cancelled' && view.cancellation)) throw failure;
    return view;
  }
}

const isNothingReserved = (failure: TemporalFailure): boolean =>
  isRejection(failure) || reasonOf(failure).type === 'InvalidInput';

function statusOf(failure: TemporalFailure | undefined): OrderView['status'] {
  if (!failure) return 'completed';
  if (isCancellation(failure)) return 'cancelled';
  return isRejection(failure) ? 'rejected' : 'failed';
}

function cancellationOf({ cancellation }: OrderView): Reason {
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
