import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { hashContent } from '../../store/content-hash.js';
import type {
  ApprovalInput,
  ApprovalResource,
  ApprovalStatus,
  ApprovalSummary,
  ApprovalView,
  Decision,
  WithdrawRequest,
} from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import type { ApprovalFilter } from '../../store/approvals.js';
import type { Store } from '../../store/index.js';
import type * as workflows from '../../workflows/index.js';
import {
  approvalDueAtAttribute,
  approvalQuery,
  approvalStatusAttribute,
  approvalWorkflowId,
  APPROVAL_TASK_QUEUE,
  approversAttribute,
  closedRejectionOf,
  decideUpdate,
  isRepeatRejection,
  isSameDecision,
  withdrawUpdate,
} from '../../workflows/approval/contract.js';
import { updateOptionsOf, type RequestContext } from '../http/request-context.js';
import { isTerminatedOrTimedOut } from '../executions/closed-executions.js';
import { forbidden, httpProblem, HttpProblem, invalidRequest, notFound } from '../problems/http-problem.js';
import {
  callWorker,
  describeWorkflow,
  isUpdateLimitProblem,
  readView,
  updateRejectionOf,
} from '../executions/worker-calls.js';
import type { Page, PageRequest } from '../executions/listing.js';
import { kindOfFailureType } from '../problems/problem-kinds.js';
import { pendingActivity, workflowField } from '../executions/pending-activities.js';
import { startOnce } from '../executions/start-once.js';

interface ApprovalDependencies {
  client: Client;
  store: Store;
}

/** For links: `firstRunId` selects the execution chain that started with this run. A reset continues the same chain. */
interface ApprovalLookup extends RequestContext {
  firstRunId?: string;
}

/**
 * Requests an approval. The approval id is the idempotency key and never expires: a repetition of the request notifies
 * no approver again.
 *
 * @throws 409 when the id belongs to another request.
 */
export async function requestApproval(
  { client, store }: ApprovalDependencies,
  input: ApprovalInput,
): Promise<ApprovalStatus> {
  const { approvalId } = input;
  const taken = () =>
    httpProblem('approval-id-taken', `approval ${approvalId} exists with another content`, { approvalId });
  const record = await store.findApproval(approvalId);
  if (record && record.contentHash !== hashContent(input)) throw taken();
  if (record?.finalView) return record.summary.status;

  const { approvers, timeoutSeconds } = firstStageOf(input);
  const existing = await startOnce<typeof workflows.approval>(
    client,
    'approval' satisfies keyof typeof workflows,
    input,
    {
      workflowId: approvalWorkflowId(approvalId),
      taskQueue: APPROVAL_TASK_QUEUE,
      typedSearchAttributes: new TypedSearchAttributes([
        { key: approvalStatusAttribute, value: 'pending' },
        { key: approversAttribute, value: approvers.map(({ id }) => id) },
        { key: approvalDueAtAttribute, value: new Date(Date.now() + timeoutSeconds * 1000) },
      ]),
      staticSummary: input.title,
    },
  );
  if (existing === undefined) return 'pending';
  if (existing === 'other') throw taken();
  if (existing.status.name === 'RUNNING') return 'pending';
  if (isTerminatedOrTimedOut(existing)) return 'withdrawn';
  return (await store.findApproval(approvalId))?.summary.status ?? 'pending';
}

/** The first stage that has an approver other than the requester, with only the approvers who may decide. */
function firstStageOf({ requestedBy, stages }: ApprovalInput) {
  const decidable = stages.map((stage) => ({
    ...stage,
    approvers: stage.approvers.filter(({ id }) => id !== requestedBy),
  }));
  return decidable.find(({ approvers }) => approvers.length > 0)!;
}

/**
 * Returns an approval with its trail. A closed approval comes from the store, even if Temporal no longer knows it.
 *
 * @throws 404, 503.
 */
export async function getApproval(
  deps: ApprovalDependencies,
  approvalId: string,
  lookup: ApprovalLookup = {},
): Promise<ApprovalResource> {
  const description = await findExecution(deps.client, approvalId, lookup.firstRunId);
  const view = await readApproval(deps, approvalId, description, lookup.restrictedToId === undefined);
  const isVisible = view !== undefined && (lookup.restrictedToId === undefined || isParty(view, lookup.restrictedToId));
  if (!isVisible) throw notFound(`there is no approval ${approvalId}`);
  return toResource(view, description);
}

async function readApproval(
  { client, store }: ApprovalDependencies,
  approvalId: string,
  description: WorkflowExecutionDescription | undefined,
  showsKnown: boolean,
): Promise<ApprovalView | undefined> {
  if (description?.status.name !== 'RUNNING') {
    const record = await store.findApproval(approvalId);
    if (record?.finalView) return record.finalView;
    if (!description || description.status.name === 'FAILED') return record && viewOfSummary(record.summary);
  }
  const { startTime } = description;
  const known = { approval: { approvalId, status: 'pending', startedAt: startTime.toISOString() } };
  return await readView<typeof workflows.approval>(client, description, approvalQuery, showsKnown ? known : {});
}

/** The view of an approval whose workflow ended without an outcome. */
function viewOfSummary({ closedAt: _closedAt, startedAt: _startedAt, ...summary }: ApprovalSummary): ApprovalView {
  return { ...summary, trail: [], notifications: [] };
}

/** Whether this person requested the approval, is or was asked to decide, or has decided. */
const isParty = ({ requestedBy, approvers, trail, notifications }: ApprovalView, id: string): boolean =>
  requestedBy === id ||
  approvers.includes(id) ||
  notifications.some(({ approver }) => approver === id) ||
  trail.some(({ approver, event }) => approver === id && event !== 'ignored');

/**
 * Records a decision. The first decision counts. A repetition of it gets the same answer, and its comment is kept.
 *
 * @throws 403 for callers who cannot decide; 409 when another decision was first, or when the approval has closed
 * otherwise or is now in another stage.
 */
export async function decideApproval(
  deps: ApprovalDependencies,
  approvalId: string,
  decision: Decision,
  { firstRunId, ...asking }: ApprovalLookup = {},
): Promise<ApprovalResource> {
  const lookup = firstRunId === undefined ? {} : { firstRunId };
  try {
    return await updateApproval(deps, approvalId, lookup, {
      update: (handle) => handle.executeUpdate(decideUpdate, { args: [decision], ...updateOptionsOf(asking) }),
      isAlreadyApplied: (view) => isSameDecision(view.decision, decision),
      onAlreadyApplied: (view) => storeRepeatedComment(deps.store, view, decision),
    });
  } catch (error) {
    // Callers who are not a party to the approval must not learn that it exists.
    if (
      asking.restrictedToId !== undefined &&
      error instanceof HttpProblem &&
      (error.status === 403 || error.status === 409)
    ) {
      await getApproval(deps, approvalId, asking);
    }
    throw error;
  }
}

/** Stores the comment of a repeated decision when the workflow no longer accepts it. */
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
 * Withdraws an approval. @throws 403 unless the caller requested it or is an operator; 409 when it is already decided.
 */
export async function withdrawApproval(
  deps: ApprovalDependencies,
  approvalId: string,
  request: WithdrawRequest,
  asking: RequestContext = {},
): Promise<ApprovalResource> {
  const { restrictedToId } = asking;
  if (restrictedToId !== undefined) {
    const { requestedBy } = await getApproval(deps, approvalId, asking);
    if (requestedBy !== restrictedToId)
      throw forbidden(`only ${requestedBy}, who requested it, can withdraw the approval`);
  }
  return await updateApproval(
    deps,
    approvalId,
    {},
    {
      update: (handle) => handle.executeUpdate(withdrawUpdate, { args: [request], ...updateOptionsOf(asking) }),
      isAlreadyApplied: ({ status }) => status === 'withdrawn',
    },
  );
}

/**
 * Lists a page of approvals from the store, newest first. The order never changes, so pages neither repeat nor skip an
 * approval.
 */
export async function listApprovals(
  store: Store,
  filter: ApprovalFilter,
  { limit, position }: PageRequest,
): Promise<Page<ApprovalSummary>> {
  const before = position && Buffer.from(position).toString();
  const rows = await store.listApprovals(filter, { before, limit });
  const last = rows.length === limit ? rows.at(-1) : undefined;
  const items = rows.map(({ number: _number, ...summary }) => summary);
  return { items, ...(last && { nextPosition: Buffer.from(last.number) }) };
}

interface ApprovalChange {
  update: (handle: WorkflowHandle<typeof workflows.approval>) => Promise<ApprovalView>;
  /** Whether a closed approval already has the state that the change asks for. */
  isAlreadyApplied: (view: ApprovalView) => boolean;
  onAlreadyApplied?: (view: ApprovalView) => Promise<void>;
}

async function updateApproval(
  deps: ApprovalDependencies,
  approvalId: string,
  lookup: ApprovalLookup,
  { update, isAlreadyApplied, onAlreadyApplied }: ApprovalChange,
): Promise<ApprovalResource> {
  const { client } = deps;
  const description = await findExecution(client, approvalId, lookup.firstRunId);
  let limit: HttpProblem | undefined;
  if (description?.status.name === 'RUNNING') {
    const firstExecutionRunId = firstRunIdOf(description);
    // Addresses the execution chain instead of the run, so that a reset in between makes no difference.
    const handle = client.workflow.getHandle(description.workflowId, undefined, { firstExecutionRunId });
    try {
      const view = await callWorker(client, description, () => update(handle));
      return toResource(view, description);
    } catch (error) {
      const refusal = updateRejectionOf(error);
      if (refusal && !isRepeatRejection(refusal)) throw rejectionProblem(refusal, approvalId);
      if (!refusal && !isUpdateLimitProblem(error) && !(error instanceof WorkflowNotFoundError)) throw error;
      limit = isUpdateLimitProblem(error) ? error : undefined;
    }
  }
  const approval = await getApproval(deps, approvalId, lookup);
  if (limit && approval.status === 'pending') throw limit;
  if (!isAlreadyApplied(approval)) throw rejectionProblem(closedRejectionOf(approval), approvalId);
  if (!onAlreadyApplied) return approval;
  await onAlreadyApplied(approval);
  return await getApproval(deps, approvalId, lookup);
}

function rejectionProblem({ type, message }: Reason, approvalId: string): HttpProblem {
  if (type === 'InvalidInput') return invalidRequest([{ pointer: '', detail: message }]);
  return httpProblem(kindOfFailureType(type, 'conflict'), message, { approvalId });
}

/**
 * Describes the newest run of an approval. With `firstRunId`, the run belongs to the execution chain that started with
 * it.
 */
async function findExecution(client: Client, approvalId: string, firstRunId?: string) {
  const workflowId = approvalWorkflowId(approvalId);
  const newest = await describeWorkflow(client, workflowId);
  if (!newest || firstRunId === undefined || firstRunIdOf(newest) === firstRunId) return newest;
  return await describeWorkflow(client, workflowId, firstRunId);
}

const firstRunIdOf = ({ raw, runId }: WorkflowExecutionDescription): string =>
  raw.workflowExecutionInfo?.firstRunId || runId;

function toResource(view: ApprovalView, description: WorkflowExecutionDescription | undefined): ApprovalResource {
  if (!description) return view;
  const ended = view.status === 'pending' && isTerminatedOrTimedOut(description) && { status: 'withdrawn' as const };
  return { ...view, ...ended, ...pendingActivity(description), ...workflowField(description) };
}
