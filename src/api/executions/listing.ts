import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers.js';
import { httpProblem } from '../plugins/errors.js';
import { SERVER_DEADLINE_MS, withDeadline } from './executions.js';
import { LaneFull, Lanes } from './lanes.js';

/** Lists are dear: so many of this process are made at once, and a few more wait; all at once, none would come in time. */
const lists = new Lanes(8, 32);

/** What visibility tells of an execution. */
export type Execution = Pick<
  WorkflowExecutionDescription,
  'workflowId' | 'runId' | 'status' | 'startTime' | 'closeTime' | 'typedSearchAttributes'
>;

export interface PageRequest {
  limit: number;
  /** Where the page before ended. */
  place?: Uint8Array;
}

export interface Page<T> {
  items: T[];
  /** Where the next page starts; there is none without it. */
  nextPlace?: Uint8Array;
}

/**
 * A page of executions, newest first. Executions for which `toItem` returns
 * undefined are left out, so a page may be shorter than its limit.
 */
export async function listExecutions<T>(
  client: Client,
  query: string,
  { limit, place }: PageRequest,
  toItem: (execution: Execution) => T | undefined,
): Promise<Page<T>> {
  const { namespace, loadedDataConverter } = client.options;
  const list = () =>
    withDeadline(client, SERVER_DEADLINE_MS, () =>
      client.workflowService.listWorkflowExecutions({
        namespace,
        query,
        pageSize: limit,
        ...(place && { nextPageToken: place }),
      }),
    );
  const response = await lists.run(namespace, list).catch((error: unknown) => {
    throw error instanceof LaneFull ? httpProblem('overloaded', 'there are too many lists to be made') : error;
  });
  const items = await Promise.all(
    (response.executions ?? []).map(async (raw) => {
      // Nobody asks for it here, and one that cannot be decrypted would take the whole list along.
      raw.memo = null;
      return toItem(await executionInfoFromRaw(raw, loadedDataConverter, raw, namespace));
    }),
  );
  const kept = items.filter((item) => item !== undefined);
  return { items: kept, ...(response.nextPageToken?.length && { nextPlace: response.nextPageToken }) };
}
