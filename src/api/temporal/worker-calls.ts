import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { QueryDefinition, Workflow, WorkflowResultType } from '@temporalio/common';
import { withServerDeadline, withWorkerDeadline } from '../../temporal/client/deadlines.js';
import type { ExecutionId } from '../../temporal/client/describe-execution.js';
import { isLostUpdate, isNoWorkerResponse, isUpdateLimitError } from '../../temporal/client/grpc-errors.js';
import { hasPoller, pinnedVersionOf } from '../../temporal/client/pollers.js';
import { httpProblem, HttpProblem } from '../problems/http-problem.js';
import { describeWorkflow } from './describe-workflow.js';

/** If no worker has answered after this time, the API checks whether any worker polls the task queue. */
const CHECK_POLLERS_AFTER_MS = 500;

/** Maximum attempts of an update whose workflow task the server lost. */
const MAX_UPDATE_ATTEMPTS = 5;

/**
 * Sends a query or update, which a worker must answer, with a time limit. The workflow may run on any task queue.
 * Rejections by the workflow itself are thrown unchanged.
 *
 * @param extensions members of the 503 and the 409 `update-limit`: what Temporal knows about the resource without a worker.
 * @throws 503 `no-worker` within about a second when no worker polls the task queue, 503 `worker-busy` after the time
 * limit. Both name the task queue.
 * @throws 409 `wrong-workflow-type` for an execution that is not ours, 409 `update-limit` when the run accepts no
 * further updates.
 */
export async function callWorker<T>(
  client: Client,
  execution: ExecutionId,
  run: () => Promise<T>,
  extensions: Record<string, unknown> = {},
): Promise<T> {
  const abort = new AbortController();
  let problem: HttpProblem | undefined;
  // Runs beside the call and after a delay, so that a worker that answers in time causes no extra request.
  const checkPollers = async () => {
    problem = await noResponseProblem(client, execution, extensions);
    if (problem.kind !== 'worker-busy') abort.abort();
  };
  // If this check fails, the check at the time limit repeats it.
  const timer = setTimeout(() => void checkPollers().catch(() => undefined), CHECK_POLLERS_AFTER_MS);
  try {
    return await client.withAbortSignal(abort.signal, () => withWorkerDeadline(client, () => retryLostUpdate(run)));
  } catch (error) {
    if (isUpdateLimitError(error)) {
      const detail = `the run of workflow ${execution.workflowId} accepts no further updates`;
      throw httpProblem('update-limit', detail, extensions);
    }
    if (!isNoWorkerResponse(error)) throw error;
    if (abort.signal.aborted && problem) throw problem;
    throw await noResponseProblem(client, execution, extensions);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads the view of a workflow: the result of a completed workflow, which needs no worker, otherwise the result
 * of `query`.
 *
 * @throws like `callWorker`.
 */
export async function readView<T extends Workflow>(
  client: Client,
  { workflowId, runId, status }: WorkflowExecutionDescription,
  query: QueryDefinition<WorkflowResultType<T>>,
  extensions: Record<string, unknown>,
): Promise<WorkflowResultType<T>> {
  const handle = client.workflow.getHandle<T>(workflowId, runId);
  if (status.name === 'COMPLETED') return await withServerDeadline(client, () => handle.result());
  return await callWorker(client, { workflowId, runId }, () => handle.query(query), extensions);
}

/** Whether `callWorker` found that the run accepts no further updates. */
export const isUpdateLimitProblem = (error: unknown): error is HttpProblem =>
  error instanceof HttpProblem && error.kind === 'update-limit';

/**
 * Explains why no worker answered, from what the server knows. The problem is a 503, or the 409 `wrong-workflow-type`
 * of an execution that is not ours.
 */
async function noResponseProblem(
  client: Client,
  execution: ExecutionId,
  extensions: Record<string, unknown>,
): Promise<HttpProblem> {
  const description = await describeWorkflow(client, execution).catch((error: unknown) => {
    if (error instanceof HttpProblem) return error;
    throw error;
  });
  if (description instanceof HttpProblem) return description;
  // An update-with-start may not have reached the server.
  if (!description) return httpProblem('worker-busy', 'the workflow was not started in time', extensions);
  const { taskQueue } = description;
  const members = { taskQueue, ...extensions };
  if (await hasPoller(client, taskQueue, { version: pinnedVersionOf(description) })) {
    return httpProblem('worker-busy', `the workers of task queue ${taskQueue} did not answer in time`, members);
  }
  return httpProblem('no-worker', `no worker polls task queue ${taskQueue}`, members);
}

/**
 * Retries an update that the server lost. The server loses an update that would close its workflow when another event
 * arrives at that moment, and returns an error that says so. Every update here is safe to send again.
 */
async function retryLostUpdate<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (!isLostUpdate(error) || attempt === MAX_UPDATE_ATTEMPTS) throw error;
    }
  }
}
