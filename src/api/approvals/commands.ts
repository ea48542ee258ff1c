import { WorkflowNotFoundError, type WorkflowHandle } from '@temporalio/client';
import type { ApprovalResource, ApprovalView, Decision, WithdrawRequest } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import type { Store } from '../../store/index.js';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { firstRunIdOf } from '../../temporal/client/describe-execution.js';
import { updateOptionsOf } from '../../temporal/client/operation-ids.js';
import { updateRejectionOf } from '../../temporal/client/update-rejection.js';
import { decideUpdate, withdrawUpdate } from '../../workflows/approval/contract.js';
import { closedRejectionOf, isSameDecision } from '../../workflows/approval/decisions.js';
import type * as workflows from '../../workflows/index.js';
import type { Backends } from '../dependencies.js';
import { forbidden, HttpProblem } from '../problems/http-problem.js';
import type { RequestContext } from '../http/request-context.js';
import { rejectionProblem } from '../temporal/rejection-problem.js';
import { callWorker, isUpdateLimitProblem } from '../temporal/worker-calls.js';
import { findApproval, getApproval, toResource, type ApprovalLookup } from './read.js';

/**
 * Records a decision. Only the first decision counts. Repeating the same decision returns the approval and stores the
 * new comment.
 *
 * @throws 403 for callers who cannot decide; 409 after a different decision, or when the approval is closed or has
 * moved to another stage.
 */
export async function decideApproval(
  deps: Backends,
  approvalId: string,
  decision: Decision,
  { firstRunId, ...context }: ApprovalLookup = {},
): Promise<ApprovalResource> {
  const { restrictedToId, operationId } = context;
  const lookup = firstRunId === undefined ? {} : { firstRunId };
  try {
    return await updateApproval(deps, approvalId, lookup, {
      update: (handle) => handle.executeUpdate(decideUpdate, { args: [decision], ...updateOptionsOf(operationId) }),
      isAlreadyApplied: (view) => isSameDecision(view.decision, decision),
      onAlreadyApplied: (view) => storeRepeatedComment(deps.store, view, decision),
    });
  } catch (error) {
    // `getApproval` throws a 404 for callers who are not a party to the approval. They must not learn that the approval
    // exists.
    const isRejected = error instanceof HttpProblem && (error.status === 403 || error.status === 409);
    if (restrictedToId !== undefined && isRejected) await getApproval(deps, approvalId, context);
    throw error;
  }
}

/** Records the comment of a repeated decision in the store, because a closed workflow accepts no comments. */
async function storeRepeatedComment(store: Store, view: ApprovalView, repeated: Decision): Promise<void> {
  const { approver, decision, comment, via = 'api' } = repeated;
  if (!comment) return;
  const { approvalId, stage } = view;
  const recorded = (await store.findApproval(approvalId))?.finalView?.trail ?? [];
  if ([view.decision, ...view.trail, ...recorded].some((entry) => entry?.comment === comment)) return;
  const at = new Date().toISOString();
  await store.addApprovalComment(approvalId, { at, event: 'commented', stage, approver, decision, comment, via });
}

/**
 * Withdraws an approval. @throws 403 unless the caller requested the approval or is an operator; 409 when the approval
 * is already decided.
 */
export async function withdrawApproval(
  deps: Backends,
  approvalId: string,
  request: WithdrawRequest,
  context: RequestContext = {},
): Promise<ApprovalResource> {
  const { restrictedToId, operationId } = context;
  if (restrictedToId !== undefined) {
    const { requestedBy } = await getApproval(deps, approvalId, context);
    if (requestedBy !== restrictedToId)
      throw forbidden(`only ${requestedBy}, who requested the approval, can withdraw it`);
  }
  return await updateApproval(
    deps,
    approvalId,
    {},
    {
      update: (handle) => handle.executeUpdate(withdrawUpdate, { args: [request], ...updateOptionsOf(operationId) }),
      isAlreadyApplied: ({ status }) => status === 'withdrawn',
    },
  );
}

interface ApprovalChange {
  update: (handle: WorkflowHandle<typeof workflows.approval>) => Promise<ApprovalView>;
  /** Whether a closed approval is already in the requested state. */
  isAlreadyApplied: (view: ApprovalView) => boolean;
  onAlreadyApplied?: (view: ApprovalView) => Promise<void>;
}

async function updateApproval(
  deps: Backends,
  approvalId: string,
  lookup: ApprovalLookup,
  { update, isAlreadyApplied, onAlreadyApplied }: ApprovalChange,
): Promise<ApprovalResource> {
  const { client, description } = await findApproval(deps, approvalId, lookup.firstRunId);
  let updateLimit: HttpProblem | undefined;
  if (description && isOpen(description)) {
    const firstExecutionRunId = firstRunIdOf(description);
    // Sends the update to the execution chain instead of one run. After a reset, the update reaches the new run.
    const handle = client.workflow.getHandle(description.workflowId, undefined, { firstExecutionRunId });
    try {
      const view = await callWorker(client, description, () => update(handle));
      return toResource(view, description);
    } catch (error) {
      const rejection = updateRejectionOf(error);
      if (rejection && !isRepeatRejection(rejection)) throw rejectionProblem(rejection, { approvalId });
      if (!rejection && !isUpdateLimitProblem(error) && !(error instanceof WorkflowNotFoundError)) throw error;
      updateLimit = isUpdateLimitProblem(error) ? error : undefined;
    }
  }
  const approval = await getApproval(deps, approvalId, lookup);
  if (updateLimit && approval.status === 'pending') throw updateLimit;
  if (!isAlreadyApplied(approval)) throw rejectionProblem(closedRejectionOf(approval), { approvalId });
  if (!onAlreadyApplied) return approval;
  await onAlreadyApplied(approval);
  return await getApproval(deps, approvalId, lookup);
}

/** Whether an update was rejected because an earlier update had the same effect. The view contains the outcome. */
const isRepeatRejection = ({ type }: Reason): boolean => type === 'DecisionRepeated' || type === 'AlreadyWithdrawn';
