import { ApplicationFailure, TemporalFailure, type ApplicationFailureOptions } from '@temporalio/common';
import { condition, log } from '@temporalio/workflow';
import type { DeliveryDecision } from '../../schemas/order.js';
import { reasonOf } from '../shared/failures.js';
import { PointOfNoReturn } from '../shared/saga.js';
import { cancelShipment, trackShipment } from './activities.js';
import { DEFAULT_DELIVERY_TIMEOUT_SECONDS, DeliveryMonitor } from './delivery-monitor.js';
import type { OrderState } from './state.js';

// Failures that end the delivery of an order. The category BENIGN keeps expected outcomes out of error logs and
// metrics.

const DELIVERY_TIMEOUT = {
  type: 'DeliveryTimeout',
  message: 'the carrier did not pick the parcel up in time',
} satisfies ApplicationFailureOptions;

const SHIPMENT_LOST = {
  type: 'ShipmentLost',
  message: 'the carrier lost the parcel',
  category: 'BENIGN',
} satisfies ApplicationFailureOptions;

const CANCELLED_BY_CARRIER = {
  type: 'CancelledByCarrier',
  message: 'the carrier cancelled the shipment',
  category: 'BENIGN',
} satisfies ApplicationFailureOptions;

const WRITTEN_OFF = {
  type: 'WrittenOff',
  message: 'an operator wrote the parcel off',
  category: 'BENIGN',
} satisfies ApplicationFailureOptions;

/** Starts the carrier's time limit. The limit covers the pickup, and restarts for the delivery. */
export function startDeliveryMonitor(state: OrderState, timeoutSeconds = DEFAULT_DELIVERY_TIMEOUT_SECONDS): void {
  const pollCarrierOnce = () => pollCarrier(state);
  const monitor = new DeliveryMonitor({ timeoutSeconds, parcel: state.parcel, pollCarrier: pollCarrierOnce });
  state.setDeliveryMonitor(monitor);
  monitor.start();
}

/**
 * Waits until the carrier has picked the parcel up. If the carrier does not respond, an operator decides.
 *
 * @throws `DeliveryTimeout` when the time limit ends without a pickup.
 */
export async function awaitPickup(state: OrderState): Promise<void> {
  const { parcel } = state;
  const isNews = () => parcel.hasLeft || parcel.isFinal;
  state.enterStage(parcel.hasLeft ? 'in_transit' : 'awaiting_pickup');
  while (!isNews()) {
    await condition(() => isNews() || state.deliveryMonitor?.expiry !== undefined);
    if (isNews()) return;
    if (state.deliveryMonitor?.expiry === 'no_news') throw ApplicationFailure.create(DELIVERY_TIMEOUT);
    await decideDelivery(state, isNews);
  }
}

/**
 * Waits for the final status of the parcel. The order can no longer be cancelled, because the goods are in transit. A
 * timer alone never leads to a refund.
 *
 * @throws `ShipmentLost`, `CancelledByCarrier` or `WrittenOff`.
 */
export async function awaitDelivery(state: OrderState): Promise<void> {
  const { parcel, view } = state;
  if (view.cancellation && parcel.hasLeft) view.cancellation.rejected = true;
  if (!parcel.isFinal) state.enterStage('in_transit');
  // The response to the shipment request was lost, so the shipment id is unknown.
  if (parcel.shipmentId === undefined) await pollCarrier(state);
  while (!parcel.isFinal) {
    await condition(() => parcel.isFinal || state.deliveryMonitor?.expiry !== undefined);
    if (!parcel.isFinal) await decideDelivery(state, () => parcel.isFinal);
  }
  if (parcel.status === 'lost') throw writeOff(state, SHIPMENT_LOST);
  if (parcel.status === 'cancelled') {
    state.saga.unregister('cancelShipment');
    throw parcel.hasLeft ? writeOff(state, CANCELLED_BY_CARRIER) : ApplicationFailure.create(CANCELLED_BY_CARRIER);
  }
}

/**
 * Waits for an operator's decision about an overdue delivery, and acts on the decision. The wait also ends when
 * `isNews` returns true.
 */
async function decideDelivery(state: OrderState, isNews: () => boolean): Promise<void> {
  const decision = await awaitDecision(state, isNews);
  if (decision?.action === 'wait') state.extendDelivery(decision.extendBySeconds);
  if (decision?.action === 'delivered') state.onDeliveryConfirmed();
  if (decision?.action === 'write_off') throw writeOff(state, WRITTEN_OFF);
}

async function awaitDecision(state: OrderState, isNews: () => boolean): Promise<DeliveryDecision | undefined> {
  state.onDeliveryOverdue();
  try {
    await condition(() => state.deliveryDecision !== undefined || isNews());
    // If a new parcel status arrives together with a decision, the status counts, because the operator did not know it.
    return isNews() ? undefined : state.deliveryDecision;
  } finally {
    state.onDeliveryDecided();
  }
}

/** Marks the goods as lost, so that only the payment is compensated. */
function writeOff(state: OrderState, failure: ApplicationFailureOptions): ApplicationFailure {
  state.saga.unregister('cancelShipment', 'releaseStock');
  state.isStockWrittenOff = true;
  return ApplicationFailure.create(failure);
}

/** Cancels the shipment. @throws `PointOfNoReturn` when the carrier has picked the parcel up. */
export async function recallParcel(state: OrderState): Promise<void> {
  if (state.parcel.hasLeft) throw new PointOfNoReturn();
  const { status } = await cancelShipment({ orderId: state.key.orderId });
  if (status === 'already_picked_up') {
    state.onShipmentCancelRejected();
    throw new PointOfNoReturn();
  }
  state.onShipmentCancelled();
}

/** Polls the carrier and handles the response like a report. @returns whether the carrier responded. */
async function pollCarrier(state: OrderState): Promise<boolean> {
  if (state.view.stage === 'compensating') return true;
  try {
    const report = await trackShipment({ orderId: state.key.orderId });
    if (report) {
      state.onShipmentConfirmed(report.shipmentId);
      state.onShipmentReport(report);
    }
    return true;
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    log.warn('could not poll the carrier', { ...reasonOf(error) });
    return false;
  }
}
