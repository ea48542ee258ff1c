import type { Client } from '@temporalio/client';
import { UnknownEncryptionKey } from '../encryption/codec.js';
import { decodeArrayFromPayloads } from '../sdk/payloads.js';
import { withServerDeadline } from './deadlines.js';

/**
 * Returns the first argument of an execution, or undefined when it is unreadable. Any client can have started the
 * execution, so the type of the argument is unknown.
 */
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
    // A missing key is a configuration error. An operator can fix it.
    if (error instanceof UnknownEncryptionKey) throw error;
    return undefined;
  }
}

/**
 * Returns the names of the signals since the last completed workflow task, newest first. Reads only the last ten
 * events.
 */
export async function listUnprocessedSignals(
  client: Client,
  { workflowId, runId }: { workflowId: string; runId: string },
): Promise<string[]> {
  const { history } = await withServerDeadline(client, () =>
    client.workflowService.getWorkflowExecutionHistoryReverse({
      namespace: client.options.namespace,
      execution: { workflowId, runId },
      maximumPageSize: 10,
    }),
  );
  const events = history?.events ?? [];
  const lastTask = events.findIndex(({ workflowTaskCompletedEventAttributes: attributes }) => attributes);
  return (lastTask < 0 ? events : events.slice(0, lastTask)).flatMap(
    ({ workflowExecutionSignaledEventAttributes: attributes }) =>
      attributes?.signalName ? [attributes.signalName] : [],
  );
}
