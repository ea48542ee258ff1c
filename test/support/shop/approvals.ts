import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { waitUntil } from '../processes.js';
import type { ApprovalInput, ApprovalView, Decision, Stage } from '../../../src/schemas/approval.js';
import { approvalQuery, APPROVAL_TASK_QUEUE, approvalWorkflowId } from '../../../src/workflows/approval/contract.js';
import type { approval } from '../../../src/workflows/approval/workflow.js';

export type ApprovalHandle = WorkflowHandleWithFirstExecutionRunId<typeof approval>;

export const DAY_SECONDS = 24 * 60 * 60;

/** Makes an approver with a new id and an e-mail address. */
export function makeApprover(name = 'approver'): { id: string; email: string } {
  const id = `${name}-${randomUUID().slice(0, 8)}`;
  return { id, email: `${id}@example.com` };
}

/** Makes an approval stage with a timeout of ten days and without reminders. */
export const makeStage = (...approvers: Stage['approvers']): Stage => ({ approvers, timeoutSeconds: 10 * DAY_SECONDS });

/** Makes an approval request with a new id. */
export function makeApproval(overrides: Partial<ApprovalInput> & Pick<ApprovalInput, 'stages'>): ApprovalInput {
  return { approvalId: randomUUID(), title: 'May we?', requestedBy: 'somebody', ...overrides };
}

/** Makes an approval by this approver. `overrides` can change it to a rejection. */
export const makeDecision = (approver: string, overrides: Partial<Decision> = {}): Decision => ({
  approver,
  decision: 'approve',
  ...overrides,
});

/** Starts an approval workflow directly, as the CLI does. */
export async function startApproval(client: Client, input: ApprovalInput): Promise<ApprovalHandle> {
  return await client.workflow.start<typeof approval>('approval', {
    workflowId: approvalWorkflowId(input.approvalId),
    taskQueue: APPROVAL_TASK_QUEUE,
    args: [input],
  });
}

/** Polls the approval until `expected` returns true. */
export async function waitForApproval(
  handle: Pick<ApprovalHandle, 'query' | 'workflowId'>,
  expected: (view: ApprovalView) => boolean,
  what: string,
): Promise<ApprovalView> {
  let last: ApprovalView | undefined;
  const poll = async () => {
    last = await handle.query(approvalQuery);
    return expected(last) ? last : undefined;
  };
  return await waitUntil(poll, {
    description: `${handle.workflowId}: ${what}`,
    timeoutMs: 20_000,
    intervalMs: 50,
  }).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(last)}`);
  });
}
