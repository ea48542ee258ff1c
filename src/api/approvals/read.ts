import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { ApprovalResource, ApprovalSummary, ApprovalView } from '../../schemas/approval.js';
import type { Store } from '../../store/index.js';
import { approvalClientsOf, type ShopClients } from '../../temporal/client/approval-clients.js';
import { isOpen, isTerminatedOrTimedOut } from '../../temporal/client/closed-executions.js';
import { firstRunIdOf } from '../../temporal/client/describe-execution.js';
import { readStandaloneActivity } from '../../temporal/client/standalone-activities.js';
import { pendingActivityFields, workflowField } from '../../temporal/client/pending-activities.js';
import { approvalQuery, approvalWorkflowId } from '../../workflows/approval/contract.js';
import type * as workflows from '../../workflows/index.js';
import type { Backends } from '../dependencies.js';
import { notFound } from '../problems/http-problem.js';
import type { RequestContext } from '../http/request-context.js';
import { describeWorkflow } from '../temporal/describe-workflow.js';
import { readView } from '../temporal/worker-calls.js';

/** Links set `firstRunId`, the first run of the execution chain of an approval. A reset continues the same chain. */
export interface ApprovalLookup extends RequestContext {
  firstRunId?: string;
}

/**
 * Returns an approval with its trail. Reads a closed approval from the store, because Temporal may have deleted the
 * workflow.
 *
 * @throws 404, 503.
 */
export async function getApproval(
  deps: Backends,
  approvalId: string,
  { firstRunId, restrictedToId }: ApprovalLookup = {},
): Promise<ApprovalResource> {
  const { client, description } = await findApproval(deps, approvalId, firstRunId);
  // Without the view, it is unknown whether a restricted caller is a party to the approval. A 503 for such a caller
  // must not reveal that the approval exists.
  const includeExtensions = restrictedToId === undefined;
  const view = await readApproval(deps.store, { approvalId, client, description, includeExtensions });
  const isVisible = view !== undefined && (restrictedToId === undefined || isParty(view, restrictedToId));
  if (!isVisible) throw notFound(`there is no approval ${approvalId}`);
  return await withReportState(client, toResource(view, description));
}

/**
 * Replaces the state of a pending report with the state of its standalone activity, which outlives the workflow. The
 * activity records a delivery in the store, so an activity that the server no longer keeps has failed.
 */
async function withReportState(client: Client, approval: ApprovalResource): Promise<ApprovalResource> {
  const { status, activityId } = approval.callbackDelivery ?? {};
  if (status !== 'pending' || activityId === undefined) return approval;
  const activity = (await readStandaloneActivity(client, activityId)) ?? {
    status: 'failed',
    reason: { type: 'ReportEnded', message: 'the report ended without a delivery' },
  };
  if (activity === 'unsupported') return approval;
  if (activity.status === 'completed') return { ...approval, callbackDelivery: { status: 'delivered', activityId } };
  if (activity.status === 'failed') {
    return { ...approval, callbackDelivery: { status: 'failed', reason: activity.reason, activityId } };
  }
  const { retrying, waiting } = activity;
  return { ...approval, ...(retrying && { retrying }), ...(waiting && { waiting }) };
}

interface ReadOptions extends FoundApproval {
  approvalId: string;
  /** Whether a 503 contains what Temporal knows about the approval. */
  includeExtensions: boolean;
}

async function readApproval(
  store: Store,
  { approvalId, client, description, includeExtensions }: ReadOptions,
): Promise<ApprovalView | undefined> {
  if (!description || !isOpen(description)) {
    const record = await store.findApproval(approvalId);
    if (record?.finalView) return record.finalView;
    if (!description || description.status.name === 'FAILED') return record && viewOfSummary(record.summary);
  }
  const startedAt = description.startTime.toISOString();
  const extensions = includeExtensions ? { approval: { approvalId, status: 'pending', startedAt } } : {};
  return await readView<typeof workflows.approval>(client, description, approvalQuery, extensions);
}

/** The view of an approval whose workflow ended without an outcome. */
function viewOfSummary({ closedAt: _closedAt, startedAt: _startedAt, ...summary }: ApprovalSummary): ApprovalView {
  return { ...summary, trail: [], notifications: [] };
}

/** Whether the caller with this id requested the approval, is or was asked to decide, or has decided. */
const isParty = ({ requestedBy, approvers, trail, notifications }: ApprovalView, id: string): boolean =>
  requestedBy === id ||
  approvers.includes(id) ||
  notifications.some(({ approver }) => approver === id) ||
  trail.some(({ approver, event }) => approver === id && event !== 'ignored');

export interface FoundApproval {
  /** The client of the namespace that has the approval, or of the namespace of new approvals. */
  client: Client;
  /** Undefined when no namespace has the approval. */
  description: WorkflowExecutionDescription | undefined;
}

/** Finds the newest run of an approval. `firstRunId` selects the execution chain that started with this run. */
export async function findApproval(
  clients: ShopClients,
  approvalId: string,
  firstRunId?: string,
): Promise<FoundApproval> {
  const candidates = approvalClientsOf(clients);
  for (const client of candidates) {
    const description = await describeApproval(client, approvalId, firstRunId);
    if (description) return { client, description };
  }
  return { client: candidates[0], description: undefined };
}

async function describeApproval(
  client: Client,
  approvalId: string,
  firstRunId: string | undefined,
): Promise<WorkflowExecutionDescription | undefined> {
  const workflowId = approvalWorkflowId(approvalId);
  const newest = await describeWorkflow(client, { workflowId });
  if (!newest || firstRunId === undefined || firstRunIdOf(newest) === firstRunId) return newest;
  return await describeWorkflow(client, { workflowId, runId: firstRunId });
}

/**
 * Adds facts that only the Temporal server knows to the view of an approval, such as pending activities. A terminated
 * approval counts as withdrawn.
 */
export function toResource(
  view: ApprovalView,
  description: WorkflowExecutionDescription | undefined,
): ApprovalResource {
  if (!description) return view;
  const isTerminated = view.status === 'pending' && isTerminatedOrTimedOut(description);
  return {
    ...view,
    ...(isTerminated && { status: 'withdrawn' as const }),
    ...pendingActivityFields(description),
    ...workflowField(description),
  };
}
