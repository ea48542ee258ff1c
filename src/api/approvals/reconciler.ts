import type { Client } from '@temporalio/client';
import type { Store } from '../../store/index.js';
import { approvalIdOf, approvalWorkflowId } from '../../workflows/approval/contract.js';
import { isTerminatedOrTimedOut, createTerminationScan } from '../executions/closed-executions.js';
import { describeWorkflow } from '../executions/worker-calls.js';

/**
 * Records the end of approvals whose workflow was terminated or timed out, because such a workflow cannot record its
 * own end.
 */
export function createApprovalReconciler({ client, store }: { client: Client; store: Store }) {
  const watch = createTerminationScan(client, 'approval');

  return async function recordEnded(): Promise<void> {
    await watch(async (workflowIds) => {
      for (const approvalId of await store.filterPendingApprovals(workflowIds.map(approvalIdOf))) {
        const newest = await describeWorkflow(client, approvalWorkflowId(approvalId));
        if (newest && isTerminatedOrTimedOut(newest))
          await store.closeApprovalWithoutOutcome(approvalId, newest.closeTime ?? new Date());
      }
    });
  };
}
