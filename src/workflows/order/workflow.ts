import { TemporalFailure } from '@temporalio/common';
import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { ReservedOrder } from '../../activities/orders.js';
import { rejectionFailure } from '../../failures/rejections.js';
import type { ApprovalInput } from '../../schemas/approval.js';
import type { OrderInput, OrderView } from '../../schemas/order.js';
import type { Money } from '../../schemas/shared/money.js';
import { catchTemporalFailure, reasonOf } from '../shared/failures.js';
import type { Compensation } from '../shared/saga.js';
import { chargePayment, refundPayment, releaseStock, requestShipment, reserveStock } from './activities.js';
import { awaitApproval } from './approval.js';
import { awaitDelivery, awaitPickup, recallParcel, startDeliveryMonitor } from './delivery.js';
import { registerHandlers } from './handlers.js';
import { conclude, preferCancellation, provesNothingReserved } from './outcome.js';
import { OrderState } from './state.js';

/**
 * Processes an order: reserves the stock, gets a large order approved, charges the customer, ships the goods, and waits
 * for the delivery. After a failure or a cancellation, compensates the completed steps in reverse order.
 *
 * Completes with the order's view when the order is `completed`, `rejected`, or `cancelled` by update. A native
 * cancellation ends the run as Cancelled, any other failure as Failed. Invalid input fails with `InvalidInput` and the
 * list of problems as details.
 */
export async function order(input: OrderInput): Promise<OrderView> {
  const state = new OrderState(input);
  registerHandlers(state);

  let failure = await catchTemporalFailure(() => state.cancellableScope.run(() => fulfil(state)));
  failure &&= preferCancellation(failure, state);
  if (failure && !(await state.saga.compensate())) {
    // The parcel could not be recalled, so the order continues and its outcome depends on the delivery.
    failure = await catchTemporalFailure(() => CancellationScope.nonCancellable(() => awaitDelivery(state)));
    if (failure) await state.saga.compensate();
  }
  return await CancellationScope.nonCancellable(() => conclude(state, failure));
}

async function fulfil(state: OrderState): Promise<void> {
  const reserved = await reserve(state);
  if (reserved.hasNoEligibleApprover) {
    throw rejectionFailure('NoApprover', 'the order needs an approval, but its customer is the only approver');
  }
  if (reserved.approval) await approve(state, reserved.approval, reserved.approvalEndpoint);
  if (reserved.total.value > 0) await charge(state, reserved.total);
  await ship(state, reserved);
  await awaitPickup(state);
  await CancellationScope.nonCancellable(() => awaitDelivery(state));
}

async function reserve(state: OrderState): Promise<ReservedOrder> {
  const { workflowId } = workflowInfo();
  try {
    const reserved = await state.runStep({
      name: 'reserveStock',
      stage: 'reserving_stock',
      run: () => reserveStock({ ...state.key, workflowId, supportsNexus: true }),
      compensation: { name: 'releaseStock', run: () => releaseStock(state.key) },
    });
    state.onReserved(reserved);
    return reserved;
  } catch (error) {
    if (error instanceof TemporalFailure) settleFailedReservation(state, error);
    throw error;
  }
}

function settleFailedReservation(state: OrderState, failure: TemporalFailure): void {
  const { type } = reasonOf(failure);
  if (provesNothingReserved(failure)) state.saga.unregister('releaseStock');
  // `ReservationReleased` means that an operator reset this order after an earlier run had rolled it back. The
  // refund of that run may still be stuck, so this run repeats the refund. The shipment is already cancelled.
  if (type === 'ReservationReleased') state.saga.register(refund(state));
  state.hasInvalidInput = type === 'InvalidInput';
}

const approve = (state: OrderState, approval: ApprovalInput, endpoint: string | undefined): Promise<unknown> =>
  state.runStep({
    name: 'approval',
    stage: 'awaiting_approval',
    run: () => awaitApproval(state, approval, endpoint),
  });

function charge(state: OrderState, amount: Money): Promise<unknown> {
  const { orderId, firstRunId, input } = state.key;
  return state.runStep({
    name: 'chargePayment',
    stage: 'charging_payment',
    run: () => chargePayment({ orderId, firstRunId, amount, token: input.payment.token }),
    compensation: refund(state),
  });
}

const refund = ({ key: { orderId } }: OrderState): Compensation => ({
  name: 'refundPayment',
  run: () => refundPayment({ orderId }),
});

async function ship(state: OrderState, reserved: ReservedOrder): Promise<void> {
  const { orderId, firstRunId } = state.key;
  const lines = reserved.lines.map(({ sku, quantity }) => ({ sku, quantity }));
  startDeliveryMonitor(state, reserved.deliveryTimeoutSeconds);
  const { shipmentId } = await state.runStep({
    name: 'requestShipment',
    stage: 'requesting_shipment',
    run: () => requestShipment({ orderId, firstRunId, lines }),
    compensation: { name: 'cancelShipment', run: () => recallParcel(state), isBlocking: true },
  });
  state.onShipmentConfirmed(shipmentId);
}
