import { setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { approvalDueAtAttribute, approvalStatusAttribute, approversAttribute } from './contract.js';
import { describeApproval } from './details.js';
import type { ApprovalState } from './state.js';

/** Publishes every change in the current details and the search attributes. */
export function publishChanges(progress: ApprovalState): void {
  progress.onChange = () => {
    setCurrentDetails(describeApproval(progress.view));
    if (isPublished(progress)) return;
    const { view, isClosed, dueAt } = progress;
    upsertSearchAttributes([
      { key: approvalStatusAttribute, value: view.status },
      { key: approversAttribute, value: isClosed ? null : view.approvers },
      ...(dueAt ? [{ key: approvalDueAtAttribute, value: dueAt }] : []),
    ]);
  };
}

/** Whether the search attributes are already up to date, as when the API set them at the start. */
function isPublished({ view, isClosed }: ApprovalState): boolean {
  const { typedSearchAttributes } = workflowInfo();
  const approvers = isClosed ? [] : view.approvers;
  return (
    typedSearchAttributes.get(approvalStatusAttribute) === view.status &&
    (typedSearchAttributes.get(approversAttribute) ?? []).join() === approvers.join()
  );
}
