import type { Connection } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import proto from '@temporalio/proto';

const { HistoryEvent } = proto.temporal.api.history.v1;
const { WorkflowExecutionInfo } = proto.temporal.api.workflow.v1;
const { DescribeWorkflowExecutionResponse } = proto.temporal.api.workflowservice.v1;

/** All data of a run that Temporal returns to a client without a codec. */
export interface RawRun {
  workflowId: string;
  events: proto.temporal.api.history.v1.IHistoryEvent[];
  /** The history as Protobuf bytes. The payloads are exactly as the server stores them. */
  history: Buffer;
  visibility: Buffer;
}

/** Reads the runs of a namespace directly from the server: all runs, or only the runs that match the query. */
export async function fetchRawRuns(
  { workflowService }: Pick<Connection, 'workflowService'>,
  namespace: string,
  query = '',
): Promise<RawRun[]> {
  const runs: RawRun[] = [];
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await workflowService.listWorkflowExecutions({
      namespace,
      query,
      ...(nextPageToken && { nextPageToken }),
    });
    for (const info of page.executions) {
      const execution = info.execution!;
      const events = await fetchRawEvents(workflowService, { namespace, execution });
      const description = await workflowService.describeWorkflowExecution({ namespace, execution });
      runs.push({
        workflowId: execution.workflowId!,
        events,
        history: Buffer.concat(events.map((event) => HistoryEvent.encode(event).finish())),
        visibility: Buffer.concat([
          WorkflowExecutionInfo.encode(info).finish(),
          DescribeWorkflowExecutionResponse.encode(description).finish(),
        ]),
      });
    }
    nextPageToken = page.nextPageToken.length ? page.nextPageToken : undefined;
  } while (nextPageToken);
  return runs;
}

async function fetchRawEvents(
  service: Connection['workflowService'],
  run: { namespace: string; execution: proto.temporal.api.common.v1.IWorkflowExecution },
) {
  const events: proto.temporal.api.history.v1.IHistoryEvent[] = [];
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await service.getWorkflowExecutionHistory({ ...run, ...(nextPageToken && { nextPageToken }) });
    events.push(...(page.history?.events ?? []));
    nextPageToken = page.nextPageToken.length ? page.nextPageToken : undefined;
  } while (nextPageToken);
  return events;
}

interface FieldMatch<T> {
  /** The path of field names from the message to the value. */
  path: string;
  value: T;
}

/** Returns every payload in a message, at any depth. */
export const payloadsIn = (message: unknown): FieldMatch<Payload>[] =>
  findFields(message, (value) => 'data' in value && value.data instanceof Uint8Array);

/** Returns every failure in a message, including nested causes. */
export const failuresIn = (message: unknown): FieldMatch<proto.temporal.api.failure.v1.IFailure>[] =>
  findFields(message, (value) => 'source' in value && 'message' in value);

function findFields<T>(value: unknown, isWanted: (value: object) => boolean, path = ''): FieldMatch<T>[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  const here = isWanted(value) ? [{ path, value: value as T }] : [];
  return [
    ...here,
    ...Object.entries(value).flatMap(([name, inner]) => findFields<T>(inner, isWanted, `${path}/${name}`)),
  ];
}
