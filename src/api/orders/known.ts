import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { OrderResource, OrderStage } from '../../schemas/order.js';
import type { OrderRecord } from '../../store/orders/orders.js';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { pendingActivityFields } from '../../temporal/client/pending-activities.js';
import type { HttpProblem } from '../problems/http-problem.js';
import { customerIdOf } from '../temporal/ownership.js';
import { forcedCloseState, statusOf } from './status.js';

/**
 * The facts about an order that Temporal and the store know without a worker. The 503 of an order contains them.
 */
export interface KnownOrder extends Pick<
  OrderResource,
  'orderId' | 'customerId' | 'status' | 'lines' | 'total' | 'retrying' | 'waiting'
> {
  /** The stage that the store recorded last. The order may have a later stage. */
  stage?: OrderStage;
  placedAt: string;
  closedAt?: string;
}

interface Sources {
  orderId: string;
  record: OrderRecord | undefined;
  execution: WorkflowExecutionDescription | undefined;
  /** Why the store did not answer. */
  storeProblem: HttpProblem | undefined;
}

/** Combines the facts of the store and of Temporal. Returns undefined if neither knows the order. */
export function knownOrderOf(sources: Sources): KnownOrder | undefined {
  const { orderId, record, execution } = sources;
  const placedAt = execution?.startTime ?? record?.placedAt;
  if (!placedAt) return undefined;
  const customerId = record?.customerId ?? (execution && customerIdOf(execution));
  const closedAt = execution ? execution.closeTime : record?.closedAt;
  const stage = (execution && forcedCloseState(execution)?.stage) ?? recordedStage(sources);
  return {
    orderId,
    ...(customerId && { customerId }),
    status: execution ? statusOf(execution) : record!.status,
    ...(stage && { stage }),
    ...(record?.lines && { lines: record.lines }),
    ...(record?.total && { total: record.total }),
    placedAt: placedAt.toISOString(),
    ...(closedAt && { closedAt: closedAt.toISOString() }),
    ...(execution && pendingActivityFields(execution)),
  };
}

/** An order has a record once its stock is reserved. */
function recordedStage({ record, execution, storeProblem }: Sources): OrderStage | undefined {
  if (record) return record.stage;
  return !storeProblem && execution && isOpen(execution) ? 'reserving_stock' : undefined;
}
