import { createTerminationScan, isTerminatedOrTimedOut } from '../../temporal/client/closed-executions.js';
import { approvalIdOf, approvalWorkflowId } from '../../workflows/approval/contract.js';
import type { Backends } from '../dependencies.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';

/**
 * Creates a function that closes approvals in the store after their workflow was terminated or timed out. Such a
 * workflow cannot update the store itself.
 */
export function createApprovalReconciler({ client, store }: Backends) {
  const scanTerminated = createTerminationScan(client, 'approval');

  /** Closes the approvals whose workflow was terminated or timed out since the previous call. */
  return async function recordTerminated(): Promise<void> {
    await scanTerminated(async (workflowIds) => {
      for (const approvalId of await store.filterPendingApprovals(workflowIds.map(approvalIdOf))) {
        const newest = await describeWorkflow(client, { workflowId: approvalWorkflowId(approvalId) });
        if (newest && isTerminatedOrTimedOut(newest))
          await store.closeApprovalWithoutOutcome(approvalId, newest.closeTime ?? new Date());
      }
    });
  };
}
