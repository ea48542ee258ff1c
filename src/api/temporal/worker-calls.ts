import { QueryNotRegisteredError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import type { QueryDefinition, Workflow, WorkflowResultType } from '@temporalio/common';
import { withServerDeadline, withWorkerDeadline } from '../../temporal/client/deadlines.js';
import type { ExecutionId } from '../../temporal/client/describe-execution.js';
import { isLostUpdate, isNoWorkerResponse, isUpdateLimitError } from '../../temporal/grpc-errors.js';
import { isUnprocessedUpdate } from '../../temporal/client/update-rejection.js';
import { hasPoller, pinnedVersionOf } from '../../temporal/client/pollers.js';
import { findWorkflowTaskFailure, type WorkflowTaskFailure } from '../../temporal/client/workflow-task-failure.js';
import { httpProblem, HttpProblem } from '../problems/http-problem.js';
import { describeWorkflow } from './describe-workflow.js';

/** If no worker has answered after this time, the API checks whether any worker polls the task queue. */
const CHECK_POLLERS_AFTER_MS = 500;

/** Maximum attempts of an update whose workflow task the server lost. */
const MAX_UPDATE_ATTEMPTS = 5;

/**
 * Runs a query or an update that a worker must answer, with a time limit. The workflow may use any task queue. Rethrows
 * rejections by the workflow unchanged.
 *
 * @param extensions additional members of the 503 and of the 409 `update-limit`: the facts about the resource that
 * Temporal knows without a worker.
 * @throws 503 `no-worker` within about a second when no worker polls the task queue, 503 `worker-busy` after the time
 * limit. Both name the task queue. 503 `workflow-paused` while an operator has paused the workflow. 503 `non-determinism`
 * or `workflow-task-failed` while the workflow code fails.
 * @throws 409 `wrong-workflow-type` for an execution of another workflow type, 409 `update-limit` when the run accepts
 * no further updates.
 */
export async function callWorker<T>(
  client: Client,
  execution: ExecutionId,
  run: () => Promise<T>,
  extensions: Record<string, unknown> = {},
): Promise<T> {
  const abort = new AbortController();
  let problem: HttpProblem | undefined;
  // Runs in parallel with the call, after a delay. If a worker answers before the delay ends, no extra request is sent.
  const checkPollers = async () => {
    problem = await noResponseProblem(client, execution, extensions);
    if (problem.kind !== 'worker-busy') abort.abort();
  };
  // Ignores a failure of this check, because the API checks again at the time limit.
  const timer = setTimeout(() => void checkPollers().catch(() => undefined), CHECK_POLLERS_AFTER_MS);
  try {
    return await client.withAbortSignal(abort.signal, () => withWorkerDeadline(client, () => retryLostUpdate(run)));
  } catch (error) {
    if (isUpdateLimitError(error)) {
      const detail = `the run of workflow ${execution.workflowId} accepts no further updates`;
      throw httpProblem('update-limit', detail, extensions);
    }
    if (error instanceof QueryNotRegisteredError) throw await failedQueryProblem(client, execution, error, extensions);
    if (!isNoWorkerResponse(error)) throw error;
    if (abort.signal.aborted && problem) throw problem;
    throw await noResponseProblem(client, execution, extensions);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Reads the view of a workflow. For a completed workflow, the view is its result, and no worker is needed. For any
 * other workflow, the view is the result of `query`.
 *
 * @throws the problems of `callWorker`.
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
 * Explains why no worker answered, from what the server knows. Returns a 503, or the 409 `wrong-workflow-type` for an
 * execution of another workflow type.
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
  // There is no workflow yet if an update-with-start has not reached the server.
  if (!description) return httpProblem('worker-busy', 'the workflow was not started in time', extensions);
  if (description.status.name === 'PAUSED') {
    return httpProblem('workflow-paused', `an operator has paused workflow ${description.workflowId}`, extensions);
  }
  const { taskQueue } = description;
  const members = { taskQueue, ...extensions };
  const failure = await findWorkflowTaskFailure(client, description);
  if (failure) return workflowTaskProblem(failure, description, extensions);
  if (await hasPoller(client, taskQueue, { version: pinnedVersionOf(description) })) {
    return httpProblem('worker-busy', `the workers of task queue ${taskQueue} did not answer in time`, members);
  }
  return httpProblem('no-worker', `no worker polls task queue ${taskQueue}`, members);
}

/**
 * Explains a failed query. A workflow without a failed workflow task can still fail to replay, because a query also
 * replays the history. Returns the error itself if the workflow code works, and only the query is unknown or throws.
 */
async function failedQueryProblem(
  client: Client,
  execution: ExecutionId,
  error: QueryNotRegisteredError,
  extensions: Record<string, unknown>,
): Promise<Error> {
  const description = await describeWorkflow(client, execution);
  if (!description) return error;
  const failure = isNonDeterminismMessage(error.message)
    ? 'non-determinism'
    : await findWorkflowTaskFailure(client, description);
  return failure ? workflowTaskProblem(failure, description, extensions) : error;
}

/** Whether the message of a failed query is the SDK's message for non-determinism. */
const isNonDeterminismMessage = (message: string): boolean => message.includes('[TMPRL1100]');

function workflowTaskProblem(
  failure: WorkflowTaskFailure,
  { workflowId, taskQueue }: WorkflowExecutionDescription,
  extensions: Record<string, unknown>,
): HttpProblem {
  const members = { taskQueue, ...extensions };
  return failure === 'non-determinism'
    ? httpProblem('non-determinism', `the workflow code does not match the history of workflow ${workflowId}`, members)
    : httpProblem('workflow-task-failed', `the code of workflow ${workflowId} fails`, members);
}

/**
 * Retries an update that the server lost. The server loses an update that closes its workflow if another event arrives
 * at the same moment, and then returns an error or a rejection. Every update of this API is safe to send again.
 */
async function retryLostUpdate<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run();
    } catch (error) {
      if (!(isLostUpdate(error) || isUnprocessedUpdate(error)) || attempt === MAX_UPDATE_ATTEMPTS) throw error;
    }
  }
}
