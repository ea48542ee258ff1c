import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { waitUntil } from '../../tools/processes/wait.js';
import type { ApprovalInput, ApprovalView, Stage } from '../../src/schemas/approval.js';
import { approvalQuery, APPROVAL_TASK_QUEUE, approvalWorkflowId } from '../../src/workflows/approval/contract.js';
import type { approval } from '../../src/workflows/approval/workflow.js';

export type ApprovalHandle = WorkflowHandleWithFirstExecutionRunId<typeof approval>;

export const DAY = 24 * 60 * 60;

/** A new approver with an e-mail address. */
export function anApprover(name = 'approver'): { id: string; email: string } {
  const id = `${name}-${randomUUID().slice(0, 8)}`;
  return { id, email: `${id}@example.com` };
}

/** A stage of ten days without reminders. */
export const aStage = (...approvers: Stage['approvers']): Stage => ({ approvers, timeoutSeconds: 10 * DAY });

/** An approval request with a new id. */
export function anApproval(overrides: Partial<ApprovalInput> & Pick<ApprovalInput, 'stages'>): ApprovalInput {
  return { approvalId: randomUUID(), title: 'May we?', requestedBy: 'somebody', ...overrides };
}

/** Starts an approval as the CLI would. */
export async function ask(client: Client, input: ApprovalInput): Promise<ApprovalHandle> {
  return await client.workflow.start<typeof approval>('approval', {
    workflowId: approvalWorkflowId(input.approvalId),
    taskQueue: APPROVAL_TASK_QUEUE,
    args: [input],
  });
}

/** Polls the approval until it is in the wanted state. */
export async function approvalOnce(
  handle: Pick<ApprovalHandle, 'query' | 'workflowId'>,
  wanted: (view: ApprovalView) => boolean,
  what: string,
): Promise<ApprovalView> {
  let seen: ApprovalView | undefined;
  const look = async () => {
    seen = await handle.query(approvalQuery);
    return wanted(seen) ? seen : undefined;
  };
  return await waitUntil(look, { what: `${handle.workflowId}: ${what}`, deadlineMs: 20_000, everyMs: 50 }).catch(
    (error: unknown) => {
      throw new Error(`${(error as Error).message}; last seen: ${JSON.stringify(seen)}`);
    },
  );
}
