import type { Client } from '@temporalio/client';
import { approvalId as approvalIdSchema } from '../schemas/approval.js';
import type { Store } from '../store/index.js';
import { approvalIdOf, approvalWorkflowId } from '../workflows/approval/contract.js';
import { describe } from './executions.js';
import { listExecutions } from './listing.js';

/** Visibility learns of the end of an execution about a second later. */
const VISIBILITY_LAG_MS = 60_000;

const PAGE = 1_000;

/**
 * Records the end of approvals whose workflow was terminated or timed out: such a workflow cannot record its end itself.
 * Each call looks at what ended since the call before.
 */
export function createEndedApprovals({ client, store }: { client: Client; store: Store }) {
  let since = new Date(0);

  return async function recordEnded(): Promise<void> {
    const startedAt = new Date();
    const ids = await endedSince(client, since);
    for (const approvalId of await store.pendingApprovalsAmong(ids)) {
      // A reset terminates a run as well, and goes on in another.
      const newest = await describe(client, approvalWorkflowId(approvalId));
      if (newest && isEndedFromOutside(newest)) await store.endApproval(approvalId, newest.closeTime ?? startedAt);
    }
    since = new Date(startedAt.getTime() - VISIBILITY_LAG_MS);
  };
}

/** A workflow that ended so did not learn of it; its approval is withdrawn. */
export const isEndedFromOutside = ({ status }: { status: { name: string } }): boolean =>
  ['TERMINATED', 'TIMED_OUT'].includes(status.name);

async function endedSince(client: Client, since: Date): Promise<string[]> {
  const query = [
    `WorkflowType = 'approval'`,
    `ExecutionStatus in ('Terminated', 'TimedOut')`,
    `CloseTime > '${since.toISOString()}'`,
  ].join(' and ');
  const ids = new Set<string>();
  for (let place: Uint8Array | undefined; ;) {
    const page = await listExecutions(client, query, { limit: PAGE, ...(place && { place }) }, ownId);
    for (const id of page.items) ids.add(id);
    place = page.nextPlace;
    if (!place) return [...ids];
  }
}

/** The approval id, if the workflow id is of our own form. */
function ownId({ workflowId }: { workflowId: string }): string | undefined {
  const { data } = approvalIdSchema.safeParse(approvalIdOf(workflowId));
  return data !== undefined && approvalWorkflowId(data) === workflowId ? data : undefined;
}
