import { CancellationScope, condition, log, setHandler } from '@temporalio/workflow';
import type { CompensationDecision, DeliveryDecision, OrderView } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { validateReasonRequest } from '../shared/arguments.js';
import { throwIfRejected } from '../shared/failures.js';
import { isShipmentReport, validateCompensationDecision, validateDeliveryDecision } from './argument-validation.js';
import {
  cancelOrderUpdate,
  orderQuery,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
  shipmentReportedSignal,
} from './contract.js';
import type { OrderState } from './state.js';

/**
 * Registers all message handlers of an order. Only the update handlers of decisions wait: they respond after the
 * decision took effect.
 */
export function registerHandlers(state: OrderState): void {
  const { view } = state;

  setHandler(orderQuery, () => view);

  setHandler(shipmentReportedSignal, (report: unknown) => {
    if (isShipmentReport(report, view.orderId)) state.onShipmentReport(report);
    else log.warn('ignored a malformed shipment report');
  });

  setHandler(
    cancelOrderUpdate,
    (request) => {
      view.cancellation = {
        requestedAt: new Date().toISOString(),
        ...(request?.reason && { reason: request.reason }),
      };
      state.cancellableScope.cancel();
      return view;
    },
    {
      validator: (request: unknown) =>
        throwIfRejected(validateReasonRequest(request) ?? cancellationRejectionOf(state)),
    },
  );

  setHandler(
    resolveCompensationUpdate,
    async (decision) => {
      state.compensations.decide(decision);
      await waitUntilTaken(() => !state.compensations.awaitsDecision(decision.compensation));
      return view;
    },
    { validator: (decision: unknown) => throwIfRejected(compensationDecisionRejectionOf(state, decision)) },
  );
  setHandler(resolveCompensationSignal, (decision: unknown) => {
    const rejection = compensationDecisionRejectionOf(state, decision);
    if (rejection) log.warn('ignored a decision about a compensation', { ...rejection });
    else state.compensations.decide(decision as CompensationDecision);
  });

  setHandler(
    resolveDeliveryUpdate,
    async (decision) => {
      state.deliveryDecision = decision;
      await waitUntilTaken(() => view.delivery?.overdueSince === undefined);
      return view;
    },
    { validator: (decision: unknown) => throwIfRejected(deliveryDecisionRejectionOf(state, decision)) },
  );
  setHandler(resolveDeliverySignal, (decision: unknown) => {
    const rejection = deliveryDecisionRejectionOf(state, decision);
    if (rejection) log.warn('ignored a decision about a delivery', { ...rejection });
    else state.deliveryDecision = decision as DeliveryDecision;
  });
}

/**
 * Waits until a decision takes effect, which happens in the same workflow task. Cancelling the workflow does not
 * interrupt the wait.
 */
const waitUntilTaken = (isTaken: () => boolean): Promise<void> =>
  CancellationScope.nonCancellable(() => condition(isTaken));

/** Also checks the stage, because the carrier may reject the cancellation of a parcel before it reports the pickup. */
function cancellationRejectionOf({ view, parcel }: OrderState): Reason | undefined {
  if (parcel.hasLeft || view.stage === 'in_transit' || view.cancellation?.rejected) {
    return { type: 'AlreadyPickedUp', message: 'the carrier has the parcel, so the order can no longer be cancelled' };
  }
  const closed = closedRejectionOf(view);
  if (closed) return closed;
  if (view.stage === 'compensating' && !view.cancellation) {
    return { type: 'OrderClosed', message: 'the order is being rolled back after a failure' };
  }
  if (!view.cancellation) return undefined;
  return { type: 'AlreadyCancelling', message: 'a cancellation of the order is already in progress' };
}

/** An order can be done a moment before Temporal closes its workflow. */
function closedRejectionOf({ stage, status }: OrderView): Reason | undefined {
  return stage === 'done' ? { type: 'OrderClosed', message: `the order is already ${status}` } : undefined;
}

function compensationDecisionRejectionOf(state: OrderState, decision: unknown): Reason | undefined {
  const problem = validateCompensationDecision(decision) ?? closedRejectionOf(state.view);
  if (problem) return problem;
  const { compensation, attempt } = decision as CompensationDecision;
  if (state.compensations.isStuck(compensation, attempt)) return undefined;
  const stuck = state.view.compensations.filter(({ status }) => status === 'stuck');
  const list = stuck.map((entry) => `${entry.name} (attempt ${entry.attempt})`).join(', ');
  const message = `attempt ${attempt} of this compensation does not wait for a decision; stuck: ${list || 'none'}`;
  return { type: 'CompensationNotStuck', message };
}

function deliveryDecisionRejectionOf(state: OrderState, decision: unknown): Reason | undefined {
  const problem = validateDeliveryDecision(decision) ?? closedRejectionOf(state.view);
  if (problem) return problem;
  const { attempt } = decision as DeliveryDecision;
  if (state.isOverdue(attempt) && !state.parcel.isFinal) return undefined;
  const { delivery } = state.view;
  const overdue = delivery?.overdueSince ? `attempt ${delivery.attempt}` : 'none';
  return {
    type: 'DeliveryNotOverdue',
    message: `attempt ${attempt} of the delivery does not wait for a decision; overdue: ${overdue}`,
  };
}
