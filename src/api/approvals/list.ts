import type { ApprovalSummary } from '../../schemas/approval.js';
import type { ApprovalFilter } from '../../store/approvals.js';
import { approvalClientsOf } from '../../temporal/client/approval-clients.js';
import { approvalIdOf, approvalWorkflowId } from '../../workflows/approval/contract.js';
import type { Backends } from '../dependencies.js';
import { nextPositionAfter, type Page, type PageRequest } from '../http/lists/list-pages.js';
import { assertActsAsSelf, restrictedIdOf, type Caller } from '../http/caller.js';
import { createTerminationRecorder } from '../temporal/list-corrections.js';

/**
 * Returns the filter that a caller may use. Callers who are not operators see the approvals that wait for their
 * decision, or with `requestedBy` the approvals that they requested.
 *
 * @throws 403 for the approvals of another person.
 */
export function approvalFilterOf(caller: Caller, { status, approver, requestedBy }: ApprovalFilter): ApprovalFilter {
  const listedApprover = approver ?? (requestedBy === undefined ? restrictedIdOf(caller) : undefined);
  if (listedApprover !== undefined) assertActsAsSelf(caller, listedApprover, 'approver');
  else assertActsAsSelf(caller, requestedBy, 'requester');
  return { status, approver: listedApprover, requestedBy };
}

/**
 * Creates a function that lists a page of approvals from the store, newest first. Approvals never change places in the
 * list, so pages neither repeat nor skip an approval. A terminated approval counts as withdrawn.
 */
export function createApprovalList({ store, ...clients }: Backends) {
  const terminations = approvalClientsOf(clients).map((client) =>
    createTerminationRecorder(client, {
      workflowType: 'approval',
      workflowIdOf: approvalWorkflowId,
      filterOpen: (workflowIds) => store.filterPendingApprovals(workflowIds.map(approvalIdOf)),
      close: (approvalId, closedAt) => store.closeApprovalWithoutOutcome(approvalId, closedAt),
    }),
  );

  return async function listApprovals(filter: ApprovalFilter, page: PageRequest): Promise<Page<ApprovalSummary>> {
    const { limit, position: before } = page;
    for (const { recordAll } of terminations) await recordAll();
    const rows = await store.listApprovals(filter, { before, limit });
    return {
      items: rows.map(({ number: _number, ...summary }) => summary),
      ...nextPositionAfter(rows, page, ({ number }) => number),
    };
  };
}

export type ListApprovals = ReturnType<typeof createApprovalList>;
