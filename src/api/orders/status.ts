import type { WorkflowExecutionStatusName } from '@temporalio/client';
import { orderStatus, type OrderStatus } from '../../schemas/order.js';
import type { Reason } from '../../schemas/shared/reason.js';
import type { Execution } from '../../temporal/client/visibility.js';
import { orderStatusAttribute } from '../../workflows/order/contract.js';

/** Ends that workflow code never sees, so that no query, search attribute or store record shows them. */
const FORCED_CLOSE_REASONS: Partial<Record<WorkflowExecutionStatusName, Reason>> = {
  TERMINATED: { type: 'Terminated', message: 'the workflow was terminated, nothing was compensated' },
  TIMED_OUT: { type: 'TimedOut', message: 'the workflow timed out, nothing was compensated' },
};

/** The state of an order whose workflow the server ended; undefined for any other status. */
export function forcedCloseState({ status }: Pick<Execution, 'status'>) {
  const reason = FORCED_CLOSE_REASONS[status.name];
  return reason && { status: 'failed' as const, stage: 'done' as const, reason };
}

/** The status of an order, from what Temporal knows without a worker. */
export function statusOf(execution: Pick<Execution, 'status' | 'typedSearchAttributes'>): OrderStatus {
  const attribute = execution.typedSearchAttributes.get(orderStatusAttribute);
  return forcedCloseState(execution)?.status ?? orderStatus.catch('processing').parse(attribute);
}
