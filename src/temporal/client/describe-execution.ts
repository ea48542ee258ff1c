import {
  WorkflowClient,
  WorkflowNotFoundError,
  type Client,
  type WorkflowClientInterceptor,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import type proto from '@temporalio/proto';
import { decodeMapFromPayloads, decodeOptionalFailureToOptionalError } from '../sdk/payloads.js';
import { withServerDeadline } from './deadlines.js';

type Memo = proto.temporal.api.common.v1.IMemo;

/** Identifies a workflow run. Without `runId`, the newest run of the workflow. */
export interface ExecutionId {
  workflowId: string;
  runId?: string;
}

/**
 * Describes an execution of any workflow type. Returns undefined when it does not exist. Decodes the last failure of
 * each pending activity, so that its message is readable even if failures are encrypted.
 */
export async function describeExecution(
  client: Client,
  { workflowId, runId }: ExecutionId,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    const description = await withServerDeadline(client, () =>
      descriptionClientOf(client).getHandle(workflowId, runId).describe(),
    );
    for (const activity of description.raw.pendingActivities ?? []) {
      const { lastFailure } = activity;
      const error = await decodeOptionalFailureToOptionalError(client.options.loadedDataConverter, lastFailure);
      if (error) activity.lastFailure = { ...lastFailure, message: error.message };
    }
    return description;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** Returns the id of the first run of an execution chain. The id does not change after a reset or continue-as-new. */
export const firstRunIdOf = ({ raw, runId }: Pick<WorkflowExecutionDescription, 'raw' | 'runId'>): string =>
  raw.workflowExecutionInfo?.firstRunId || runId;

const descriptionClients = new WeakMap<Client, WorkflowClient>();

/**
 * Returns a workflow client whose descriptions never fail because of a memo. The SDK decodes all fields of a memo at
 * once, and a client can start a workflow with a memo field that cannot be decoded here.
 */
function descriptionClientOf(client: Client): WorkflowClient {
  const existing = descriptionClients.get(client);
  if (existing) return existing;
  const { namespace, loadedDataConverter } = client.options;
  const { interceptors } = client.workflow.options;
  const created = new WorkflowClient({
    connection: client.connection,
    namespace,
    dataConverter: loadedDataConverter,
    interceptors: [...(Array.isArray(interceptors) ? interceptors : []), unreadableMemoFilter(client)],
  });
  descriptionClients.set(client, created);
  return created;
}

const unreadableMemoFilter = (client: Client): WorkflowClientInterceptor => ({
  async describe(input, next) {
    const response = await next(input);
    const { workflowExecutionInfo: info } = response;
    if (info) info.memo = await readableMemo(client, info.memo, input.workflowExecution.workflowId);
    return response;
  },
});

/** Returns the fields of a memo that can be decoded. Omits fields of other SDKs and fields whose key is lost. */
async function readableMemo(client: Client, memo: Memo | null | undefined, workflowId: string): Promise<Memo> {
  const { namespace, loadedDataConverter } = client.options;
  const context = { type: 'workflow', namespace, workflowId } as const;
  const fields = await Promise.all(
    Object.entries(memo?.fields ?? {}).map(async ([name, payload]) => {
      try {
        await decodeMapFromPayloads(loadedDataConverter, { [name]: payload }, context);
        return [[name, payload] as const];
      } catch {
        return [];
      }
    }),
  );
  return { fields: Object.fromEntries(fields.flat()) };
}
