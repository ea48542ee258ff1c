import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { executionInfoFromRaw } from '@temporalio/client/lib/helpers.js';

interface ListOptions {
  pageSize?: number;
}

/**
 * The executions that a visibility query finds, without their memos. The SDK's own list decodes each memo and fails at
 * the first one that it cannot decode.
 */
export async function* listExecutions(
  { workflowService, options: { namespace, loadedDataConverter } }: Client,
  query = '',
  { pageSize = 1_000 }: ListOptions = {},
): AsyncGenerator<WorkflowExecutionInfo> {
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await workflowService.listWorkflowExecutions({
      namespace,
      query,
      pageSize,
      ...(nextPageToken && { nextPageToken }),
    });
    for (const raw of page.executions) {
      raw.memo = null;
      yield await executionInfoFromRaw(raw, loadedDataConverter, raw, namespace);
    }
    nextPageToken = page.nextPageToken.length ? page.nextPageToken : undefined;
  } while (nextPageToken);
}
