import { WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client';
import type {
  CancelRequest,
  CompensationDecision,
  DeliveryDecision,
  OrderResource,
  OrderView,
} from '../../schemas/order.js';
import { withServerDeadline } from '../../temporal/client/deadlines.js';
import { firstRunIdOf } from '../../temporal/client/describe-execution.js';
import { updateOptionsOf } from '../../temporal/client/operation-ids.js';
import { updateRejectionOf } from '../../temporal/client/update-rejection.js';
import {
  cancelOrderUpdate,
  orderWorkflowId,
  resolveCompensationSignal,
  resolveCompensationUpdate,
  resolveDeliverySignal,
  resolveDeliveryUpdate,
} from '../../workflows/order/contract.js';
import type { Backends } from '../dependencies.js';
import { httpProblem, type HttpProblem } from '../problems/http-problem.js';
import type { RequestContext } from '../http/request-context.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { assertOwned } from '../temporal/ownership.js';
import { rejectionProblem } from '../temporal/rejection-problem.js';
import { callWorker, isUpdateLimitProblem } from '../temporal/worker-calls.js';
import { getOrder, toResource } from './read.js';

/**
 * Requests the cancellation of an order. Compensations run after the response; `GET` shows their progress. Returns the
 * order unchanged if its cancellation was already requested or is complete.
 *
 * @throws 409 when the carrier already has the parcel, or when the order is closed with another outcome.
 */
export async function cancelOrder(
  deps: Backends,
  orderId: string,
  request: CancelRequest,
  context: RequestContext,
): Promise<OrderResource> {
  return await updateOrder(deps, orderId, context, {
    update: (handle, options) => handle.executeUpdate(cancelOrderUpdate, { args: [request], ...options }),
    isAlreadyApplied: ({ status, stage, cancellation }) =>
      status === 'cancelled' || (stage !== 'done' && cancellation !== undefined && !cancellation.rejected),
  });
}

/**
 * Retries or skips a stuck compensation. Sends the decision as a signal when the run accepts no further updates.
 *
 * @throws 409 when this attempt of the compensation is not stuck.
 */
export async function resolveCompensation(
  deps: Backends,
  orderId: string,
  decision: CompensationDecision,
  context: RequestContext,
): Promise<OrderResource> {
  const { compensation, attempt } = decision;
  return await updateOrder(deps, orderId, context, {
    update: (handle, options) => handle.executeUpdate(resolveCompensationUpdate, { args: [decision], ...options }),
    signal: (handle) => handle.signal(resolveCompensationSignal, decision),
    signalProblem({ compensations }) {
      const isStuck = compensations.some(
        (entry) => entry.name === compensation && entry.status === 'stuck' && entry.attempt === attempt,
      );
      if (isStuck) return undefined;
      const detail = `attempt ${attempt} of compensation ${compensation} is not stuck, so there is nothing to decide`;
      return httpProblem('compensation-not-stuck', detail, { orderId });
    },
  });
}

/** Resolves an overdue delivery. @throws 409 when this attempt of the delivery is not overdue. */
export async function resolveDelivery(
  deps: Backends,
  orderId: string,
  decision: DeliveryDecision,
  context: RequestContext,
): Promise<OrderResource> {
  const { attempt } = decision;
  return await updateOrder(deps, orderId, context, {
    update: (handle, options) => handle.executeUpdate(resolveDeliveryUpdate, { args: [decision], ...options }),
    signal: (handle) => handle.signal(resolveDeliverySignal, decision),
    signalProblem({ delivery }) {
      if (delivery?.overdueSince !== undefined && delivery.attempt === attempt) return undefined;
      const detail = `attempt ${attempt} of the delivery is not overdue, so there is nothing to decide`;
      return httpProblem('delivery-not-overdue', detail, { orderId });
    },
  });
}

interface OrderChange {
  update: (handle: WorkflowHandle, options: { updateId?: string }) => Promise<OrderView>;
  /** Sends the same change as a signal, for a run that accepts no further updates. */
  signal?: (handle: WorkflowHandle) => Promise<void>;
  /**
   * Explains why the workflow would ignore the signal. Called before the signal is sent, because a signal returns no
   * result.
   */
  signalProblem?: (order: OrderResource) => HttpProblem | undefined;
  /** Whether the order is already in the requested state. */
  isAlreadyApplied?: (order: OrderResource) => boolean;
}

async function updateOrder(
  deps: Backends,
  orderId: string,
  context: RequestContext,
  { update, signal, signalProblem, isAlreadyApplied }: OrderChange,
): Promise<OrderResource> {
  const { client } = deps;
  const { restrictedToId, operationId } = context;
  const workflowId = orderWorkflowId(orderId);
  const currentOrder = () => getOrder(deps, orderId, context);
  const description = await describeWorkflow(client, { workflowId });
  // Temporal no longer has this workflow, so the order is closed.
  if (!description) return await assertAlreadyApplied();
  assertOwned(description, { resource: `order ${orderId}`, restrictedToId });
  // Sends the update to the newest run of the execution chain. After a reset, the update reaches the new run.
  const handle = client.workflow.getHandle(workflowId, undefined, { firstExecutionRunId: firstRunIdOf(description) });
  try {
    const view = await callWorker(client, { workflowId }, () => update(handle, updateOptionsOf(operationId)));
    return toResource(view, description, context);
  } catch (error) {
    const rejection = updateRejectionOf(error);
    if (rejection) return await assertAlreadyApplied(rejectionProblem(rejection, { orderId }));
    if (isUpdateLimitProblem(error)) return await applyWithoutUpdate(error);
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return await assertAlreadyApplied();
  }

  /** Returns the order if it is already in the requested state. @throws `problem`, by default 409 `order-closed`. */
  async function assertAlreadyApplied(problem?: HttpProblem): Promise<OrderResource> {
    const order = await currentOrder();
    if (isAlreadyApplied?.(order)) return order;
    throw problem ?? httpProblem('order-closed', `order ${orderId} is ${order.status}`, { orderId });
  }

  async function applyWithoutUpdate({ message }: HttpProblem): Promise<OrderResource> {
    if (!signal) return await assertAlreadyApplied(httpProblem('update-limit', message, { orderId }));
    const problem = signalProblem?.(await currentOrder());
    if (problem) throw problem;
    await withServerDeadline(client, () => signal(handle));
    return await currentOrder();
  }
}
