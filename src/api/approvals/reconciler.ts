import { createTerminationScan, isTerminatedOrTimedOut } from '../../temporal/client/closed-executions.js';
import { approvalIdOf, approvalWorkflowId } from '../../workflows/approval/contract.js';
import type { Backends } from '../dependencies.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';

/**
 * Records the end of approvals whose workflow was terminated or timed out, because such a workflow cannot record its
 * own end.
 */
export function createApprovalReconciler({ client, store }: Backends) {
  const scanTerminated = createTerminationScan(client, 'approval');

  /** Records the approvals that the server ended since the previous call. */
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
