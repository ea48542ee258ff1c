import {
  WorkflowNotFoundError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowHandle,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { contentHashOf } from '../../store/content-hash.js';
import type {
  ApprovalInput,
  ApprovalResource,
  ApprovalStatus,
  ApprovalSummary,
  ApprovalView,
  Decision,
  WithdrawRequest,
} from '../../schemas/approval.js';
import type { Reason } from '../../schemas/reason.js';
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
  closedWith,
  decideUpdate,
  isRepetition,
  isSameDecision,
  withdrawUpdate,
} from '../../workflows/approval/contract.js';
import { updateIdOf, type Asking } from '../plugins/asking.js';
import { isEndedByServer } from '../executions/ended.js';
import { forbidden, httpProblem, HttpProblem, invalidRequest, notFound } from '../plugins/errors.js';
import { askWorker, describe, isUpdateLimit, readView, refusalOf } from '../executions/executions.js';
import type { Page, PageRequest } from '../executions/listing.js';
import { kindOf } from '../plugins/problems.js';
import { heldUpBy, workflowOf } from '../executions/resources.js';
import { startOnce } from '../executions/starting.js';

interface Deps {
  client: Client;
  store: Store;
}

/** The approval that a link is for: `firstRunId` names its execution chain, which a reset continues. */
interface Lookup extends Asking {
  firstRunId?: string;
}

/**
 * Requests an approval. The approval id is the idempotency key: the same request again asks nobody twice.
 *
 * @throws 409 when the id belongs to another request, also years later.
 */
export async function requestApproval({ client, store }: Deps, input: ApprovalInput): Promise<ApprovalStatus> {
  const { approvalId } = input;
  const taken = () =>
    httpProblem('approval-id-taken', `approval ${approvalId} exists with another content`, { approvalId });
  const record = await store.findApproval(approvalId);
  if (record && record.contentHash !== contentHashOf(input)) throw taken();
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
  if (isEndedByServer(existing)) return 'withdrawn';
  return (await store.findApproval(approvalId))?.summary.status ?? 'pending';
}

/** The stage that is asked first, with those who may decide. */
function firstStageOf({ requestedBy, stages }: ApprovalInput) {
  const decidable = stages.map((stage) => ({
    ...stage,
    approvers: stage.approvers.filter(({ id }) => id !== requestedBy),
  }));
  return decidable.find(({ approvers }) => approvers.length > 0)!;
}

/** An approval with its trail. Once it is closed, the store answers, also when Temporal no longer knows it. @throws 404, 503. */
export async function getApproval(deps: Deps, approvalId: string, lookup: Lookup = {}): Promise<ApprovalResource> {
  const description = await findExecution(deps.client, approvalId, lookup.firstRunId);
  const view = await readApproval(deps, approvalId, description, lookup.only === undefined);
  const isVisible = view !== undefined && (lookup.only === undefined || isParty(view, lookup.only));
  if (!isVisible) throw notFound(`there is no approval ${approvalId}`);
  return toResource(view, description);
}

async function readApproval(
  { client, store }: Deps,
  approvalId: string,
  description: WorkflowExecutionDescription | undefined,
  showsKnown: boolean,
): Promise<ApprovalView | undefined> {
  if (description?.status.name !== 'RUNNING') {
    const record = await store.findApproval(approvalId);
    if (record?.finalView) return record.finalView;
    if (!description || description.status.name === 'FAILED') return record && viewOf(record.summary);
  }
  const { startTime } = description;
  const known = { approval: { approvalId, status: 'pending', startedAt: startTime.toISOString() } };
  return await readView<typeof workflows.approval>(client, description, approvalQuery, showsKnown ? known : {});
}

/** What is left of an approval whose workflow ended without an outcome, once Temporal no longer keeps it. */
function viewOf({ closedAt: _closedAt, startedAt: _startedAt, ...summary }: ApprovalSummary): ApprovalView {
  return { ...summary, trail: [], notifications: [] };
}

/** Whether somebody requested, is or was asked, or decided. */
const isParty = ({ requestedBy, approvers, trail, notifications }: ApprovalView, id: string): boolean =>
  requestedBy === id ||
  approvers.includes(id) ||
  notifications.some(({ approver }) => approver === id) ||
  trail.some(({ approver, event }) => approver === id && event !== 'ignored');

/**
 * Takes a decision. The first one wins; the same one again gets the same answer, and its comment is kept.
 *
 * @throws 403 for callers who cannot decide, 409 when another decision was first, the approval closed otherwise or is in
 * another stage by now.
 */
export async function decideApproval(
  deps: Deps,
  approvalId: string,
  decision: Decision,
  { firstRunId, ...asking }: Lookup = {},
): Promise<ApprovalResource> {
  const lookup = firstRunId === undefined ? {} : { firstRunId };
  try {
    return await updateApproval(deps, approvalId, lookup, {
      update: (handle) => handle.executeUpdate(decideUpdate, { args: [decision], ...updateIdOf(asking) }),
      isDone: (view) => isSameDecision(view.decision, decision),
      onDone: (view) => keepComment(deps.store, view, decision),
    });
  } catch (error) {
    // Callers who are no party to the approval must not learn that it exists.
    if (asking.only !== undefined && error instanceof HttpProblem && (error.status === 403 || error.status === 409)) {
      await getApproval(deps, approvalId, asking);
    }
    throw error;
  }
}

/** Keeps the comment of a decision that repeats the one that counted when the workflow no longer takes the comment. */
async function keepComment(store: Store, view: ApprovalView, repeated: Decision): Promise<void> {
  const { approver, decision, comment, via = 'api' } = repeated;
  if (!comment) return;
  const { approvalId, stage } = view;
  const recorded = (await store.findApproval(approvalId))?.finalView?.trail ?? [];
  if ([view.decision, ...view.trail, ...recorded].some((entry) => entry?.comment === comment)) return;
  const at = new Date().toISOString();
  await store.addApprovalComment(approvalId, { at, event: 'commented', stage, approver, decision, comment, via });
}

/** Withdraws an approval. @throws 409 when it was decided before. */
export async function withdrawApproval(
  deps: Deps,
  approvalId: string,
  request: WithdrawRequest,
  asking: Asking = {},
): Promise<ApprovalResource> {
  const { only } = asking;
  if (only !== undefined) {
    const { requestedBy } = await getApproval(deps, approvalId, asking);
    if (requestedBy !== only) throw forbidden(`only ${requestedBy}, who requested it, can withdraw the approval`);
  }
  return await updateApproval(
    deps,
    approvalId,
    {},
    {
      update: (handle) => handle.executeUpdate(withdrawUpdate, { args: [request], ...updateIdOf(asking) }),
      isDone: ({ status }) => status === 'withdrawn',
    },
  );
}

/** A page of approvals, newest first, from the store. The order never changes, so pages neither repeat nor skip one. */
export async function listApprovals(
  store: Store,
  filter: ApprovalFilter,
  { limit, place }: PageRequest,
): Promise<Page<ApprovalSummary>> {
  const before = place && Buffer.from(place).toString();
  const rows = await store.listApprovals(filter, { before, limit });
  const last = rows.length === limit ? rows.at(-1) : undefined;
  const items = rows.map(({ number: _number, ...summary }) => summary);
  return { items, ...(last && { nextPlace: Buffer.from(last.number) }) };
}

interface Change {
  update: (handle: WorkflowHandle<typeof workflows.approval>) => Promise<ApprovalView>;
  /** Whether a closed approval is as the change wants it. */
  isDone: (view: ApprovalView) => boolean;
  onDone?: (view: ApprovalView) => Promise<void>;
}

async function updateApproval(
  deps: Deps,
  approvalId: string,
  lookup: Lookup,
  { update, isDone, onDone }: Change,
): Promise<ApprovalResource> {
  const { client } = deps;
  const description = await findExecution(client, approvalId, lookup.firstRunId);
  let limit: HttpProblem | undefined;
  if (description?.status.name === 'RUNNING') {
    const firstExecutionRunId = firstRunOf(description);
    // Names the chain and not the run: a reset in between changes nothing.
    const handle = client.workflow.getHandle(description.workflowId, undefined, { firstExecutionRunId });
    try {
      const view = await askWorker(client, description, () => update(handle));
      return toResource(view, description);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal && !isRepetition(refusal)) throw problemOf(refusal, approvalId);
      if (!refusal && !isUpdateLimit(error) && !(error instanceof WorkflowNotFoundError)) throw error;
      limit = isUpdateLimit(error) ? error : undefined;
    }
  }
  const approval = await getApproval(deps, approvalId, lookup);
  if (limit && approval.status === 'pending') throw limit;
  if (!isDone(approval)) throw problemOf(closedWith(approval), approvalId);
  if (!onDone) return approval;
  await onDone(approval);
  return await getApproval(deps, approvalId, lookup);
}

function problemOf({ type, message }: Reason, approvalId: string): HttpProblem {
  if (type === 'InvalidInput') return invalidRequest([{ pointer: '', detail: message }]);
  return httpProblem(kindOf(type, 'conflict'), message, { approvalId });
}

/** The newest run of an approval; of the chain with this first run, if one is named. */
async function findExecution(client: Client, approvalId: string, firstRunId?: string) {
  const workflowId = approvalWorkflowId(approvalId);
  const newest = await describe(client, workflowId);
  if (!newest || firstRunId === undefined || firstRunOf(newest) === firstRunId) return newest;
  return await describe(client, workflowId, firstRunId);
}

const firstRunOf = ({ raw, runId }: WorkflowExecutionDescription): string =>
  raw.workflowExecutionInfo?.firstRunId || runId;

function toResource(view: ApprovalView, description: WorkflowExecutionDescription | undefined): ApprovalResource {
  if (!description) return view;
  const ended = view.status === 'pending' && isEndedByServer(description) && { status: 'withdrawn' as const };
  return { ...view, ...ended, ...heldUpBy(description), ...workflowOf(description) };
}
