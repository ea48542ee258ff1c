import { WorkflowClient, type Client, type WorkflowClientInterceptor } from '@temporalio/client';
import { decodeMapFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type proto from '@temporalio/proto';

type Memo = proto.temporal.api.common.v1.IMemo;

const descriptionClients = new WeakMap<Client, WorkflowClient>();

/**
 * A workflow client whose descriptions never fail because of a memo. The SDK decodes all fields of a memo at once, and
 * any client that starts a workflow may have added a field that cannot be decoded here.
 */
export function descriptionClientOf(client: Client): WorkflowClient {
  const known = descriptionClients.get(client);
  if (known) return known;
  const { namespace, loadedDataConverter } = client.options;
  const { interceptors } = client.workflow.options;
  const describer = new WorkflowClient({
    connection: client.connection,
    namespace,
    dataConverter: loadedDataConverter,
    interceptors: [...(Array.isArray(interceptors) ? interceptors : []), unreadableMemoFilter(client)],
  });
  descriptionClients.set(client, describer);
  return describer;
}

const unreadableMemoFilter = (client: Client): WorkflowClientInterceptor => ({
  async describe(input, next) {
    const response = await next(input);
    const { workflowExecutionInfo: info } = response;
    if (info) info.memo = await readableMemo(client, info.memo, input.workflowExecution.workflowId);
    return response;
  },
});

/** The fields of a memo that can be decoded. Fields from other SDKs or with a lost key are omitted. */
async function readableMemo(client: Client, memo: Memo | null | undefined, workflowId: string): Promise<Memo> {
  const { namespace, loadedDataConverter } = client.options;
  const fields = await Promise.all(
    Object.entries(memo?.fields ?? {}).map(async ([name, payload]) => {
      try {
        await decodeMapFromPayloads(
          loadedDataConverter,
          { [name]: payload },
          { type: 'workflow', namespace, workflowId },
        );
        return [[name, payload] as const];
      } catch {
        return [];
      }
    }),
  );
  return { fields: Object.fromEntries(fields.flat()) };
}
