import type { Client } from '@temporalio/client';
import type { Store } from '../../store/index.js';
import { approvalIdOf, approvalWorkflowId } from '../../workflows/approval/contract.js';
import { isEndedByServer, watchEnds } from '../executions/ended.js';
import { describe } from '../executions/executions.js';

/**
 * Records the end of approvals whose workflow was terminated or timed out, because such a workflow cannot record its
 * own end.
 */
export function createEndedApprovals({ client, store }: { client: Client; store: Store }) {
  const watch = watchEnds(client, 'approval');

  return async function recordEnded(): Promise<void> {
    await watch(async (workflowIds) => {
      for (const approvalId of await store.pendingApprovalsAmong(workflowIds.map(approvalIdOf))) {
        const newest = await describe(client, approvalWorkflowId(approvalId));
        if (newest && isEndedByServer(newest)) await store.endApproval(approvalId, newest.closeTime ?? new Date());
      }
    });
  };
}
