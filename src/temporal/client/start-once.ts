import { isDeepStrictEqual } from 'node:util';
import { WorkflowExecutionAlreadyStartedError, type Client, type WorkflowStartOptions } from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { withServerDeadline } from './deadlines.js';
import { readWorkflowInput } from './history.js';

/**
 * Starts a workflow whose id is the idempotency key. A repetition with the same input starts nothing.
 *
 * @returns `started`; `existing` when an execution has this id and the same input; `conflict` when an execution has
 * this id and another input.
 */
export async function startOnce<T extends Workflow>(
  client: Client,
  type: string,
  input: Parameters<T>[0],
  options: Omit<WorkflowStartOptions, 'args'>,
): Promise<'started' | 'existing' | 'conflict'> {
  const { workflowId } = options;
  try {
    await withServerDeadline(client, () =>
      client.workflow.start(type, {
        ...options,
        args: [input],
        workflowIdReusePolicy: 'REJECT_DUPLICATE',
        workflowIdConflictPolicy: 'FAIL',
      }),
    );
    return 'started';
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const existingInput = await withServerDeadline(client, () => readWorkflowInput(client, workflowId));
    return isDeepStrictEqual(existingInput, input) ? 'existing' : 'conflict';
  }
}
