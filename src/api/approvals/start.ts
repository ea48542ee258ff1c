import type { Client } from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { findForbiddenUrls } from '../../http-client/forbidden-urls.js';
import type { OutgoingHttpClient } from '../../http-client/outgoing-http-client.js';
import type { ApprovalInput, ApprovalStatus } from '../../schemas/approval.js';
import { hashContent } from '../../store/content-hash.js';
import { isOpen, isTerminatedOrTimedOut } from '../../temporal/client/closed-executions.js';
import { startOnce } from '../../temporal/client/start-once.js';
import {
  APPROVAL_TASK_QUEUE,
  approvalDueAtAttribute,
  approvalStatusAttribute,
  approvalWorkflowId,
  approversAttribute,
} from '../../workflows/approval/contract.js';
import type * as workflows from '../../workflows/index.js';
import type { Backends } from '../dependencies.js';
import { assertActsAsSelf, type Caller } from '../http/caller.js';
import { httpProblem, invalidRequest } from '../problems/http-problem.js';
import { describeWorkflowOr404 } from '../temporal/describe-workflow.js';
import { findApproval } from './read.js';

/**
 * Checks that the caller may request an approval under this id, and that its URLs may be called.
 *
 * @throws 403, 400 with the forbidden URLs.
 */
export function assertMayRequest(
  caller: Caller,
  request: Pick<ApprovalInput, 'requestedBy' | 'stages' | 'callbackUrl'>,
  outgoing: OutgoingHttpClient,
): void {
  assertActsAsSelf(caller, request.requestedBy, 'requester');
  const problems = findForbiddenUrls(request, outgoing);
  if (problems.length) throw invalidRequest(problems);
}

/**
 * Requests an approval. The approval id is the idempotency key and never expires. A repeated request does not notify
 * the approvers again.
 *
 * @throws 409 when an approval with this id has different content.
 */
export async function requestApproval(deps: Backends, input: ApprovalInput): Promise<ApprovalStatus> {
  const { approvalId } = input;
  const { store } = deps;
  const workflowId = approvalWorkflowId(approvalId);
  const idTakenProblem = () =>
    httpProblem('approval-id-taken', `approval ${approvalId} already exists with different content`, { approvalId });
  const record = await store.findApproval(approvalId);
  if (record && record.contentHash !== hashContent(input)) throw idTakenProblem();
  if (record?.finalView) return record.summary.status;
  const client = await clientFor(deps, approvalId, { mayExist: record !== undefined });

  const { approvers, timeoutSeconds } = firstStageOf(input);
  const type = 'approval' satisfies keyof typeof workflows;
  const result = await startOnce<typeof workflows.approval>(client, type, input, {
    workflowId,
    taskQueue: APPROVAL_TASK_QUEUE,
    typedSearchAttributes: new TypedSearchAttributes([
      { key: approvalStatusAttribute, value: 'pending' },
      { key: approversAttribute, value: approvers.map(({ id }) => id) },
      { key: approvalDueAtAttribute, value: new Date(Date.now() + timeoutSeconds * 1000) },
    ]),
    staticSummary: input.title,
  });
  if (result === 'started') return 'pending';
  if (result === 'conflict') throw idTakenProblem();
  const existing = await describeWorkflowOr404(client, { workflowId }, `approval ${approvalId}`);
  if (isOpen(existing)) return 'pending';
  if (isTerminatedOrTimedOut(existing)) return 'withdrawn';
  return (await store.findApproval(approvalId))?.summary.status ?? 'pending';
}

/** Returns the client of the namespace that has the approval, or else of the namespace of new approvals. */
async function clientFor(deps: Backends, approvalId: string, { mayExist }: { mayExist: boolean }): Promise<Client> {
  if (!deps.approvalClient) return deps.client;
  return mayExist ? (await findApproval(deps, approvalId)).client : deps.approvalClient;
}

/** Returns the first stage that has an approver other than the requester. Removes the requester from its approvers. */
function firstStageOf({ requestedBy, stages }: ApprovalInput) {
  const decidable = stages.map((stage) => ({
    ...stage,
    approvers: stage.approvers.filter(({ id }) => id !== requestedBy),
  }));
  return decidable.find(({ approvers }) => approvers.length > 0)!;
}
