import type { Client } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { UnknownEncryptionKey } from './encryption/codec.js';

/** The first argument of an execution, which any client can have started. Undefined when it is unreadable. */
export async function readWorkflowInput(client: Client, workflowId: string): Promise<unknown> {
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
    // A missing key is a configuration error, which an operator can fix.
    if (error instanceof UnknownEncryptionKey) throw error;
    return undefined;
  }
}
