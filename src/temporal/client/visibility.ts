import type { Client, WorkflowExecutionDescription, WorkflowExecutionInfo } from '@temporalio/client';
import { ConcurrencyLimit } from '../../async/concurrency-limit.js';
import { executionInfoFromRaw } from '../sdk/client-calls.js';
import { withServerDeadline } from './deadlines.js';

/** The maximum page size of the server. */
export const MAX_VISIBILITY_PAGE = 1_000;

/**
 * Visibility queries are expensive. This process runs at most 8 at once, and at most 32 more wait. Without a limit, a
 * large number of concurrent queries would all time out.
 */
const visibilityLimit = new ConcurrencyLimit({ maxConcurrent: 8, maxWaiting: 32 });

/** Quotes the id of a caller for a visibility query. */
export const quoteCallerId = (callerId: string): string => `'${callerId.replaceAll("'", "''")}'`;

/** The part of a visibility query that selects these workflows. Our workflow ids need no escaping. */
export const workflowIdIn = (workflowIds: Iterable<string>): string =>
  `WorkflowId in (${Array.from(workflowIds, (workflowId) => `'${workflowId}'`).join(', ')})`;

/** The fields that visibility and a description have in common. */
export type Execution = Pick<
  WorkflowExecutionDescription,
  'workflowId' | 'runId' | 'status' | 'startTime' | 'closeTime' | 'typedSearchAttributes'
>;

interface VisibilityPageRequest {
  query: string;
  pageSize: number;
  pageToken?: Uint8Array | undefined;
}

interface VisibilityPage {
  executions: WorkflowExecutionInfo[];
  /** Missing on the last page. */
  nextPageToken?: Uint8Array;
}

/**
 * Returns a page of the executions that match a visibility query, newest first and without memos. Limits its time and
 * the number of concurrent queries, so that API requests can depend on it.
 *
 * @throws ConcurrencyQueueFull when too many queries are waiting.
 */
export async function listExecutions(client: Client, request: VisibilityPageRequest): Promise<VisibilityPage> {
  return await visibilityLimit.run(client.options.namespace, () =>
    withServerDeadline(client, () => readPage(client, request)),
  );
}

/**
 * Iterates over all executions that match a visibility query, newest first and without memos. Only for tools, because
 * it has no limits.
 */
export async function* iterateExecutions(
  client: Client,
  query = '',
  { pageSize = MAX_VISIBILITY_PAGE }: { pageSize?: number } = {},
): AsyncGenerator<WorkflowExecutionInfo> {
  let pageToken: Uint8Array | undefined;
  do {
    const page = await readPage(client, { query, pageSize, pageToken });
    yield* page.executions;
    pageToken = page.nextPageToken;
  } while (pageToken);
}

/** Replaces the SDK's own list, which decodes all memos and fails at the first one that it cannot decode. */
async function readPage(
  { workflowService, options: { namespace, loadedDataConverter } }: Client,
  { query, pageSize, pageToken }: VisibilityPageRequest,
): Promise<VisibilityPage> {
  const response = await workflowService.listWorkflowExecutions({
    namespace,
    query,
    pageSize,
    ...(pageToken && { nextPageToken: pageToken }),
  });
  const executions = await Promise.all(
    (response.executions ?? []).map(async (raw) => {
      raw.memo = null;
      return await executionInfoFromRaw(raw, loadedDataConverter, raw, namespace);
    }),
  );
  const { nextPageToken } = response;
  return { executions, ...(nextPageToken?.length && { nextPageToken }) };
}
