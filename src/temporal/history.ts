import type { Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { UnknownEncryptionKey } from './encryption/codec.js';

/** The first argument that an execution was started with, by any client. Undefined when that cannot be read. */
export async function firstInput(client: Client, workflowId: string): Promise<unknown> {
  const { history } = await client.workflowService.getWorkflowExecutionHistory({
    namespace: client.options.namespace,
    execution: { workflowId },
    maximumPageSize: 1,
  });
  const payloads = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads;
  try {
    const [input] = await decodeArrayFromPayloads(client.options.loadedDataConverter, payloads);
    return input;
  } catch (error) {
    // A missing key is our own fault, and an operator may add it.
    if (error instanceof UnknownEncryptionKey) throw error;
    return undefined;
  }
}
