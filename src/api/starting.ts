import { isDeepStrictEqual } from 'node:util';
import {
  WorkflowExecutionAlreadyStartedError,
  type Client,
  type WorkflowExecutionDescription,
  type WorkflowStartOptions,
} from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { describeOr404, SERVER_DEADLINE_MS, withDeadline } from './executions.js';

/**
 * Starts a workflow whose id is the idempotency key: the same input again starts nothing.
 *
 * @returns undefined when it was started, the execution that was there with the same input, or `other` when the id
 * belongs to one with another input.
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
    if (!isDeepStrictEqual(await firstInput(client, options.workflowId), input)) return 'other';
    return await describeOr404(client, options.workflowId, options.workflowId);
  }
}

/** What the execution was started with, also by others than this API. */
async function firstInput(client: Client, workflowId: string): Promise<unknown> {
  const { history } = await withDeadline(client, SERVER_DEADLINE_MS, () =>
    client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: { workflowId },
      maximumPageSize: 1,
    }),
  );
  const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads;
  const [input] = await decodeArrayFromPayloads(client.options.loadedDataConverter, payloads);
  return input;
}
