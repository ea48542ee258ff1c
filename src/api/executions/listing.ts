import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers.js';
import { httpProblem } from '../problems/http-problem.js';
import { SERVER_DEADLINE_MS, withDeadline } from './worker-calls.js';
import { ConcurrencyQueueFull, ConcurrencyLimit } from './concurrency-limit.js';

/**
 * Visibility queries are expensive. This process runs 8 of them at once, and at most 32 more wait. Without the limit,
 * none of many concurrent queries would finish in time.
 */
const visibilityLimit = new ConcurrencyLimit(8, 32);

/** What visibility returns of an execution. */
export type Execution = Pick<
  WorkflowExecutionDescription,
  'workflowId' | 'runId' | 'status' | 'startTime' | 'closeTime' | 'typedSearchAttributes'
>;

export interface PageRequest {
  limit: number;
  /** The position where the previous page ended. */
  position?: Uint8Array;
}

export interface Page<T> {
  items: T[];
  /** The position where the next page starts; absent on the last page. */
  nextPosition?: Uint8Array;
}

/** A page of executions, newest first. */
export async function listExecutions(
  client: Client,
  query: string,
  { limit, position }: PageRequest,
): Promise<Page<Execution>> {
  const { namespace, loadedDataConverter } = client.options;
  const list = () =>
    withDeadline(client, SERVER_DEADLINE_MS, () =>
      client.workflowService.listWorkflowExecutions({
        namespace,
        query,
        pageSize: limit,
        ...(position && { nextPageToken: position }),
      }),
    );
  const response = await visibilityLimit.run(namespace, list).catch((error: unknown) => {
    throw error instanceof ConcurrencyQueueFull
      ? httpProblem('overloaded', 'there are too many lists to be made')
      : error;
  });
  const items = await Promise.all(
    (response.executions ?? []).map(async (raw) => {
      // The memo is not used here, and a memo that cannot be decrypted would fail the whole list.
      raw.memo = null;
      return await executionInfoFromRaw(raw, loadedDataConverter, raw, namespace);
    }),
  );
  return { items, ...(response.nextPageToken?.length && { nextPosition: response.nextPageToken }) };
}
