import { isDeepStrictEqual } from 'node:util';
import {
  WorkflowExecutionAlreadyStartedError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowStartOptions,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { readWorkflowInput } from '../../temporal/workflow-input.js';
import { describeWorkflowOr404, SERVER_DEADLINE_MS, withDeadline } from './worker-calls.js';

/**
 * Starts a workflow whose id is the idempotency key: a repetition with the same input starts nothing.
 *
 * @returns undefined when the workflow was started, the existing execution when it has the same input, or `other` when
 * the id belongs to an execution with another input.
 */
export async function startOnce<T extends Workflow>(
  client: Client,
  type: string,
  input: Parameters<T>[0],
  options: Omit<WorkflowStartOptions, 'args'>,
): Promise<undefined | 'other' | WorkflowExecutionDescription> {
  try {
    await withDeadline(client, SERVER_DEADLINE_MS, () =>
      client.workflow.start(type, {
        ...options,
        args: [input],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
      }),
    );
    return undefined;
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    if (
      !isDeepStrictEqual(
        await withDeadline(client, SERVER_DEADLINE_MS, () => readWorkflowInput(client, options.workflowId)),
        input,
      )
    )
      return 'other';
    return await describeWorkflowOr404(client, options.workflowId, options.workflowId);
  }
}
