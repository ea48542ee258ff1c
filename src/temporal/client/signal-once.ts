import type { Client } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';
import { composeInterceptors } from '../sdk/client-calls.js';
import { encodeToPayloads } from '../sdk/payloads.js';
import { withServerDeadline } from './deadlines.js';
import { isNotFound } from '../grpc-errors.js';

interface SignalOnceOptions<Arguments extends unknown[]> {
  signal: SignalDefinition<Arguments>;
  args: Arguments;
  /** Temporal ignores a second signal with the same id. */
  operationId: string;
}

/**
 * Signals a workflow once per operation id: a repetition adds nothing to the history. Needs no worker. The SDK's own
 * `signal` cannot do this, because it generates a new id for each call.
 *
 * @returns false when the workflow is closed or never existed.
 */
export async function signalOnce<Arguments extends unknown[]>(
  client: Client,
  workflowId: string,
  { signal, args, operationId }: SignalOnceOptions<Arguments>,
): Promise<boolean> {
  const { namespace, identity, loadedDataConverter } = client.options;
  const payloads = await encodeToPayloads(loadedDataConverter, ...args);
  const { interceptors } = client.workflow.options;
  const chain = Array.isArray(interceptors) ? interceptors : [];
  const send = composeInterceptors(chain, 'signal', async ({ headers }) => {
    await withServerDeadline(client, () =>
      client.workflowService.signalWorkflowExecution({
        namespace,
        identity,
        requestId: operationId,
        signalName: signal.name,
        workflowExecution: { workflowId },
        input: { payloads: payloads ?? [] },
        header: { fields: headers },
      }),
    );
  });
  try {
    await send({ workflowExecution: { workflowId }, signalName: signal.name, args, headers: {} });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
