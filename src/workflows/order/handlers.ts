import { CancellationScope, condition, log, setHandler } from '@temporalio/workflow';
import type { CompensationDecision, DeliveryDecision } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { rejectionFailure } from '../shared/failures.js';
import { validateReasonRequest } from '../shared/arguments.js';
import {
  cancelOrderUpdate,
  orderQuery,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
  shipmentReportedSignal,
} from './contract.js';
import { isShipmentReport } from './parcel.js';
import type { OrderState } from './state.js';

/** A decision can extend the delivery by at most a year. */
const MAX_WAIT_SECONDS = 31_536_000;

/** Registers all message handlers of an order. A handler awaits nothing except the effect of a decision. */
export function registerHandlers(state: OrderState): void {
  const { view, parcel } = state;

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
    { validator: (request: unknown) => throwIfRejected(validateReasonRequest(request) ?? whyNotCancellable()) },
  );

  setHandler(
    resolveCompensationUpdate,
    async (decision) => {
      state.compensationDecisions.set(decision.compensation, decision.action);
      await waitUntilTaken(() => !isWaiting(decision.compensation));
      return view;
    },
    { validator: (decision: unknown) => throwIfRejected(validateCompensationDecision(state, decision)) },
  );
  setHandler(resolveCompensationSignal, (decision: unknown) => {
    const problem = validateCompensationDecision(state, decision);
    if (problem) log.warn('ignored a decision about a compensation', { ...problem });
    else {
      const { compensation, action } = decision as CompensationDecision;
      state.compensationDecisions.set(compensation, action);
    }
  });

  setHandler(
    resolveDeliveryUpdate,
    async (decision) => {
      state.deliveryDecision = decision;
      await waitUntilTaken(() => view.delivery?.overdueSince === undefined);
      return view;
    },
    { validator: (decision: unknown) => throwIfRejected(validateDeliveryDecision(state, decision)) },
  );
  setHandler(resolveDeliverySignal, (decision: unknown) => {
    const problem = validateDeliveryDecision(state, decision);
    if (problem) log.warn('ignored a decision about a delivery', { ...problem });
    else state.deliveryDecision = decision as DeliveryDecision;
  });

  function isWaiting(compensation: string): boolean {
    return state.compensationDecisions.has(compensation) || state.isStuck(compensation);
  }

  /**
   * Checks the stage as well: the carrier may have rejected the cancellation of a parcel without reporting its pickup.
   */
  function whyNotCancellable(): Reason | undefined {
    if (parcel.hasLeft || view.stage === 'in_transit' || view.cancellation?.rejected) {
      return { type: 'AlreadyPickedUp', message: 'the carrier has the parcel, the order can no longer be cancelled' };
    }
    if (view.stage === 'done' || (view.stage === 'compensating' && !view.cancellation)) {
      return { type: 'OrderClosed', message: 'the order has already ended or is being rolled back' };
    }
    if (!view.cancellation) return undefined;
    return { type: 'AlreadyCancelling', message: 'the cancellation of the order was requested before' };
  }
}

/** The decision takes effect within the same workflow task. Cancelling the workflow does not interrupt it. */
const waitUntilTaken = (isTaken: () => boolean): Promise<void> =>
  CancellationScope.nonCancellable(() => condition(isTaken));

/** An update rejected by its validator writes no event. */
function throwIfRejected(reason: Reason | undefined): void {
  if (reason) throw rejectionFailure(reason);
}

function validateCompensationDecision(state: OrderState, decision: unknown): Reason | undefined {
  const { compensation, attempt, action } = fieldsOf(decision);
  if (typeof compensation !== 'string' || !Number.isInteger(attempt) || (action !== 'retry' && action !== 'skip')) {
    const message = 'the argument must be {"compensation": string, "attempt": integer, "action": "retry" | "skip"}';
    return { type: 'InvalidInput', message };
  }
  if (state.isStuck(compensation, attempt as number)) return undefined;
  const stuck = state.view.compensations.filter(({ status }) => status === 'stuck');
  const list = stuck.map((entry) => `${entry.name} (attempt ${entry.attempt})`).join(', ');
  const message = `this attempt of the compensation does not wait for a decision; stuck: ${list || 'none'}`;
  return { type: 'CompensationNotStuck', message };
}

function validateDeliveryDecision(state: OrderState, decision: unknown): Reason | undefined {
  const { attempt, action, seconds = 1 } = fieldsOf(decision);
  const isAction = action === 'wait' || action === 'write_off' || action === 'delivered';
  const isTime = Number.isInteger(seconds) && (seconds as number) >= 1 && (seconds as number) <= MAX_WAIT_SECONDS;
  if (!isAction || !Number.isInteger(attempt) || !isTime) {
    const message =
      'the argument must be {"attempt": integer, "action": "wait" | "write_off" | "delivered", "seconds"?: integer}';
    return { type: 'InvalidInput', message };
  }
  if (state.isOverdue(attempt as number) && !state.parcel.isFinal) return undefined;
  const { delivery } = state.view;
  const now = delivery?.overdueSince ? `attempt ${delivery.attempt} does` : 'no delivery of the order does';
  return { type: 'DeliveryNotOverdue', message: `this attempt of the delivery does not wait for a decision; ${now}` };
}

const fieldsOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
