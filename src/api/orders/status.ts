import type { WorkflowExecutionStatusName } from '@temporalio/client';
import { orderStatus, type OrderStatus } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import type { Execution } from '../../temporal/client/visibility.js';
import { orderStatusAttribute } from '../../workflows/order/contract.js';

/**
 * Reasons for a close that workflow code cannot handle. No query, search attribute or store record shows such a close.
 */
const FORCED_CLOSE_REASONS: Partial<Record<WorkflowExecutionStatusName, Reason>> = {
  TERMINATED: { type: 'Terminated', message: 'the workflow was terminated' },
  TIMED_OUT: { type: 'TimedOut', message: 'the workflow timed out' },
};

/** Returns the state of an order whose workflow was terminated or timed out; undefined for all other orders. */
export function forcedCloseState({ status }: Pick<Execution, 'status'>) {
  const reason = FORCED_CLOSE_REASONS[status.name];
  return reason && { status: 'failed' as const, stage: 'done' as const, reason };
}

/** Returns the status of an order according to Temporal. No worker is needed. */
export function statusOf(execution: Pick<Execution, 'status' | 'typedSearchAttributes'>): OrderStatus {
  const attribute = execution.typedSearchAttributes.get(orderStatusAttribute);
  return forcedCloseState(execution)?.status ?? orderStatus.catch('processing').parse(attribute);
}
