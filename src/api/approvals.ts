import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import {
  approvalStatus,
  type ApprovalInput,
  type ApprovalResource,
  type ApprovalStatus,
  type ApprovalSummary,
  type ApprovalView,
  type Decision,
  type WithdrawRequest,
} from '../schemas/approval.js';
import type { Reason } from '../schemas/reason.js';
import type * as workflows from '../workflows/index.js';
import {
  approvalDueAtAttribute,
  approvalIdOf,
  approvalQuery,
  approvalStatusAttribute,
  approvalWorkflowId,
  APPROVAL_TASK_QUEUE,
  approversAttribute,
  closedWith,
  decideUpdate,
  isSameDecision,
  withdrawUpdate,
} from '../workflows/approval/contract.js';
import { updateIdOf, type Asking } from './asking.js';
import { forbidden, httpProblem, HttpProblem, invalidRequest, notFound } from './errors.js';
import { askWorker, describeOr404, readView, refusalOf } from './executions.js';
import { listExecutions, quoted, type Execution, type Page, type PageRequest } from './listing.js';
import { kindOf } from './problems.js';
import { heldUpBy, workflowOf } from './resources.js';
import { startOnce } from './starting.js';

/**
 * Asks for an approval. The approval id is the idempotency key: the same question again asks nobody twice.
 *
 * @throws 409 when the id belongs to another question.
 */
export async function requestApproval(client: Client, input: ApprovalInput): Promise<ApprovalStatus> {
  const { approvalId, stages } = input;
  const existing = await startOnce<typeof workflows.approval>(
    client,
    'approval' satisfies keyof typeof workflows,
    input,
    {
      workflowId: approvalWorkflowId(approvalId),
      taskQueue: APPROVAL_TASK_QUEUE,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: approvalStatusAttribute, value: 'pending' },
        { key: approversAttribute, value: stages[0]!.approvers.map(({ id }) => id) },
        { key: approvalDueAtAttribute, value: new Date(Date.now() + stages[0]!.timeoutSeconds * 1000) },
      ]),
      staticSummary: input.title,
    },
  );
  if (existing === undefined) return 'pending';
  if (existing === 'other') {
    throw httpProblem('approval-id-taken', `approval ${approvalId} exists with another content`, { approvalId });
  }
  return summaryOf(existing).status;
}

/** An approval with its trail; of the run that is named, or of the newest one. @throws 404, 503 `no-worker`. */
export async function getApproval(
  client: Client,
  approvalId: string,
  { runId, only }: Asking & { runId?: string } = {},
): Promise<ApprovalResource> {
  const description = await describeApproval(client, approvalId, runId);
  const known = only === undefined ? { approval: summaryOf(description) } : {};
  const view = await readView<typeof workflows.approval>(client, description, approvalQuery, known);
  if (only !== undefined && !isParty(view, only)) throw notFound(`there is no approval ${approvalId}`);
  return toResource(view, description);
}

/** Whether somebody asks, or was asked, or has decided. */
const isParty = ({ requestedBy, approvers, trail, notifications }: ApprovalView, id: string): boolean =>
  requestedBy === id ||
  approvers.includes(id) ||
  notifications.some(({ approver }) => approver === id) ||
  trail.some(({ approver, event }) => approver === id && event !== 'ignored');

/**
 * Takes somebody's decision. The first one wins; the same one again gets the same answer.
 *
 * @throws 403 for who may not decide, 409 when another decision was first, the question was closed otherwise or is
 * another stage's by now.
 */
export async function decideApproval(
  client: Client,
  approvalId: string,
  decision: Decision,
  { runId, ...asking }: Asking & { runId?: string } = {},
): Promise<ApprovalResource> {
  try {
    return await updateApproval(
      client,
      await describeApproval(client, approvalId, runId),
      (handle) => handle.executeUpdate(decideUpdate, { args: [decision], ...updateIdOf(asking) }),
      (view) => isSameDecision(view.decision, decision),
    );
  } catch (error) {
    // Whoever has nothing to do with it is not told that it is there.
    if (asking.only !== undefined && error instanceof HttpProblem && (error.status === 403 || error.status === 409)) {
      await getApproval(client, approvalId, asking);
    }
    throw error;
  }
}

/** Takes the question back. @throws 409 when it was decided before. */
export async function withdrawApproval(
  client: Client,
  approvalId: string,
  request: WithdrawRequest,
  asking: Asking = {},
): Promise<ApprovalResource> {
  const { only } = asking;
  if (only !== undefined) {
    const { requestedBy } = await getApproval(client, approvalId, asking);
    if (requestedBy !== only) throw forbidden(`${requestedBy} asked, so ${only} cannot take the question back`);
  }
  return await updateApproval(
    client,
    await describeApproval(client, approvalId),
    (handle) => handle.executeUpdate(withdrawUpdate, { args: [request], ...updateIdOf(asking) }),
    ({ status }) => status === 'withdrawn',
  );
}

/** A page of approvals, newest first, from visibility; a new one appears within about a second. */
export async function listApprovals(
  client: Client,
  { status, approver }: { status?: ApprovalStatus | undefined; approver?: string | undefined },
  page: PageRequest,
): Promise<Page<ApprovalSummary>> {
  // A failed one was never a question.
  const clauses = [`WorkflowType = 'approval'`, `ExecutionStatus != 'Failed'`];
  if (approver) clauses.push(`Approvers = ${quoted(approver)}`, `ExecutionStatus = 'Running'`);
  const terminated = `(ApprovalStatus = 'pending' and ExecutionStatus = 'Terminated')`;
  if (status === 'withdrawn') clauses.push(`(ApprovalStatus = 'withdrawn' or ${terminated})`);
  else if (status) clauses.push(`ApprovalStatus = '${status}'`);
  if (status === 'pending') clauses.push(`ExecutionStatus = 'Running'`);
  // The dev server's visibility (SQLite) compares the values of a list without regard to case.
  const isAsked = ({ typedSearchAttributes }: Execution) =>
    !approver || typedSearchAttributes.get(approversAttribute)?.includes(approver);
  return await listExecutions(client, clauses.join(' and '), page, (execution) =>
    isAsked(execution) ? summaryOf(execution) : undefined,
  );
}

async function updateApproval(
  client: Client,
  description: WorkflowExecutionDescription,
  update: (handle: WorkflowHandle<typeof workflows.approval>) => Promise<ApprovalView>,
  isAlreadySo: (view: ApprovalView) => boolean,
): Promise<ApprovalResource> {
  const { workflowId, runId } = description;
  const approvalId = approvalIdOf(workflowId);
  try {
    const view = await askWorker(client, description, () => update(client.workflow.getHandle(workflowId, runId)));
    return toResource(view, description);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal) throw problemOf(refusal, approvalId);
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    const approval = await getApproval(client, approvalId, { runId });
    if (isAlreadySo(approval)) return approval;
    throw problemOf(closedWith(approval), approvalId);
  }
}

function problemOf({ type, message }: Reason, approvalId: string): HttpProblem {
  if (type === 'InvalidInput') return invalidRequest([{ pointer: '', detail: message }]);
  return httpProblem(kindOf(type, 'conflict'), message, { approvalId });
}

async function describeApproval(client: Client, approvalId: string, runId?: string) {
  const what = `approval ${approvalId}`;
  const description = await describeOr404(client, approvalWorkflowId(approvalId), what, runId);
  if (description.status.name === 'FAILED') throw notFound(`there is no ${what}: its input was not valid`);
  return description;
}

function toResource(view: ApprovalView, description: WorkflowExecutionDescription): ApprovalResource {
  const ended = view.status === 'pending' ? endedFromOutside(description) : undefined;
  return { ...view, ...ended, ...heldUpBy(description), ...workflowOf(description) };
}

function summaryOf({ workflowId, status, startTime, closeTime, typedSearchAttributes }: Execution): ApprovalSummary {
  const known = approvalStatus.catch('pending').parse(typedSearchAttributes.get(approvalStatusAttribute));
  return {
    approvalId: approvalIdOf(workflowId),
    status: (known === 'pending' ? endedFromOutside({ status })?.status : undefined) ?? known,
    startedAt: startTime.toISOString(),
    ...(closeTime && { closedAt: closeTime.toISOString() }),
  };
}

/** A terminated question asks nobody any more, and its workflow never learns of it. */
function endedFromOutside({ status }: Pick<Execution, 'status'>) {
  const isEnded = ['CANCELLED', 'TERMINATED', 'TIMED_OUT'].includes(status.name);
  return isEnded ? { status: 'withdrawn' as const } : undefined;
}
