import {
  isGrpcServiceError,
  QueryRejectedError,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
  type Client,
  type WorkflowExecutionDescription,
} from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  type QueryDefinition,
  type SignalDefinition,
  type Workflow,
  type WorkflowResultType,
} from '@temporalio/common';
import { composeInterceptors } from '@temporalio/common/lib/interceptors.js';
import {
  decodeOptionalFailureToOptionalError,
  encodeToPayloads,
} from '@temporalio/common/lib/internal-non-workflow/index.js';
import proto from '@temporalio/proto';
import { httpProblem, HttpProblem, notFound } from '../problems/http-problem.js';
import { descriptionClientOf } from './description-client.js';

/** Time limit of a call that needs no worker. */
export const SERVER_DEADLINE_MS = 5_000;

/** Time limit of a query or update, which a worker must answer. A healthy worker answers within milliseconds. */
export const WORKER_DEADLINE_MS = 8_000;

/** If no worker has answered after this time, the API checks whether any worker polls the task queue. */
const CHECK_POLLERS_AFTER_MS = 500;

/** Maximum attempts of an update whose workflow task the server lost. */
const MAX_UPDATE_ATTEMPTS = 5;

/** A worker polls continuously, and one poll lasts up to about a minute. A worker not seen for longer is gone. */
const POLLER_SEEN_WITHIN_MS = 70_000;

const { TASK_QUEUE_TYPE_WORKFLOW, TASK_QUEUE_TYPE_ACTIVITY } = proto.temporal.api.enums.v1.TaskQueueType;
const { VERSIONING_BEHAVIOR_PINNED } = proto.temporal.api.enums.v1.VersioningBehavior;

const TASK_QUEUE_TYPES = { workflow: TASK_QUEUE_TYPE_WORKFLOW, activity: TASK_QUEUE_TYPE_ACTIVITY };

/** A worker deployment version, as Temporal identifies it. */
interface WorkerVersion {
  deploymentName?: string | null;
  buildId?: string | null;
}

/** A workflow run; the newest run of the workflow when `runId` is absent. */
interface ExecutionId {
  workflowId: string;
  runId?: string;
}

/** Runs calls to Temporal with a time limit. */
export async function withDeadline<T>(client: Client, ms: number, run: () => Promise<T>): Promise<T> {
  return await client.withDeadline(Date.now() + ms, run);
}

/**
 * Describes the newest run of a workflow, or the run `runId`. Returns undefined when there is none. The last failure of
 * each pending activity is decoded, so its message is readable even if failures are encrypted.
 *
 * @throws 409 `wrong-workflow-type` when a workflow of another type has this id.
 */
export async function describeWorkflow(
  client: Client,
  workflowId: string,
  runId?: string,
): Promise<WorkflowExecutionDescription | undefined> {
  try {
    const description = await withDeadline(client, SERVER_DEADLINE_MS, () =>
      descriptionClientOf(client).getHandle(workflowId, runId).describe(),
    );
    assertWorkflowType(description);
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

/** The ids of our workflows start with the workflow type. @throws 409 `wrong-workflow-type` for any other type. */
function assertWorkflowType({ workflowId, type, taskQueue }: WorkflowExecutionDescription): void {
  const expected = workflowId.split(':', 1)[0];
  if (type === expected) return;
  const detail = `workflow ${workflowId} has the type ${type}, expected ${expected}; terminate it, or use another id`;
  throw httpProblem('wrong-workflow-type', detail, { workflowType: type, taskQueue });
}

/** Like `describe`. @throws 404. */
export async function describeWorkflowOr404(client: Client, workflowId: string, what: string, runId?: string) {
  const description = await describeWorkflow(client, workflowId, runId);
  if (!description) throw notFound(`there is no ${what}`);
  return description;
}

/**
 * Signals a workflow once for each `operationId`. Temporal remembers the request id, so a repetition adds nothing to the
 * history. No worker is needed.
 *
 * @returns false when the workflow is closed or never existed.
 */
export async function signalOnce<Arguments extends unknown[]>(
  client: Client,
  workflowId: string,
  signal: SignalDefinition<Arguments>,
  args: Arguments,
  operationId: string,
): Promise<boolean> {
  const { namespace, identity, loadedDataConverter } = client.options;
  const payloads = await encodeToPayloads(loadedDataConverter, ...args);
  const { interceptors } = client.workflow.options;
  const chain = Array.isArray(interceptors) ? interceptors : [];
  const signalled = composeInterceptors(chain, 'signal', async ({ headers }) => {
    await withDeadline(client, SERVER_DEADLINE_MS, () =>
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
    await signalled({ workflowExecution: { workflowId }, signalName: signal.name, args, headers: {} });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/**
 * Reads the view of a workflow: the result of a completed workflow, which needs no worker, otherwise the answer to
 * `query`.
 *
 * @throws like `askWorker`.
 */
export async function readView<T extends Workflow>(
  client: Client,
  { workflowId, runId, status }: WorkflowExecutionDescription,
  query: QueryDefinition<WorkflowResultType<T>>,
  extensions: Record<string, unknown>,
): Promise<WorkflowResultType<T>> {
  const handle = client.workflow.getHandle<T>(workflowId, runId);
  if (status.name === 'COMPLETED') return await withDeadline(client, SERVER_DEADLINE_MS, () => handle.result());
  return await callWorker(client, { workflowId, runId }, () => handle.query(query), extensions);
}

/**
 * Whether a worker recently polled the task queue for tasks of this kind. Counts only workers of the version
 * `pinnedTo`. Without `pinnedTo`, counts only workers of the current version, if there is one, because new executions
 * start on it.
 */
export async function hasPoller(
  client: Client,
  taskQueue: string,
  kind: keyof typeof TASK_QUEUE_TYPES = 'workflow',
  pinnedTo?: WorkerVersion,
): Promise<boolean> {
  const { pollers, versioningInfo } = await withDeadline(client, SERVER_DEADLINE_MS, () =>
    client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: taskQueue },
      taskQueueType: TASK_QUEUE_TYPES[kind],
    }),
  );
  const wanted = pinnedTo ?? versioningInfo?.currentDeploymentVersion;
  return (pollers ?? []).some(({ lastAccessTime, deploymentOptions: version }) => {
    const seen = Number(lastAccessTime?.seconds ?? 0) * 1000;
    if (Date.now() - seen >= POLLER_SEEN_WITHIN_MS) return false;
    return !wanted || (version?.deploymentName === wanted.deploymentName && version?.buildId === wanted.buildId);
  });
}

/**
 * Sends a query or update, which a worker must answer, with a time limit. The workflow may run on any task queue.
 * Rejections by the workflow itself are thrown unchanged.
 *
 * @throws 503 `no-worker` within about a second when no worker polls the task queue, 503 `worker-busy` after the time
 * limit. Both name the task queue and carry `extensions`.
 * @throws 409 `wrong-workflow-type` for an execution that is not ours, 409 `update-limit` when the run accepts no
 * further updates.
 */
export async function callWorker<T>(
  client: Client,
  execution: ExecutionId,
  run: () => Promise<T>,
  extensions: Record<string, unknown> = {},
): Promise<T> {
  const gaveUp = new AbortController();
  let found: HttpProblem | undefined;
  // Runs beside the call and after a delay, so that a worker that answers in time causes no extra request.
  const check = async () => {
    found = await noResponseProblem(client, execution, extensions);
    if (found.kind !== 'worker-busy') gaveUp.abort();
  };
  // If this check fails, the check at the time limit repeats it.
  const timer = setTimeout(() => void check().catch(() => undefined), CHECK_POLLERS_AFTER_MS);
  try {
    return await client.withAbortSignal(gaveUp.signal, () =>
      withDeadline(client, WORKER_DEADLINE_MS, () => retryLostUpdate(run)),
    );
  } catch (error) {
    if (isUpdateLimitError(error)) {
      const detail = `the run of workflow ${execution.workflowId} accepts no further updates`;
      throw httpProblem('update-limit', detail, extensions);
    }
    if (!isNoResponse(error)) throw error;
    if (gaveUp.signal.aborted && found) throw found;
    throw await noResponseProblem(client, execution, extensions);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Explains why no worker answered, from what the server knows. The problem is a 503, or the 409 `wrong-workflow-type`
 * of an execution that is not ours.
 */
async function noResponseProblem(
  client: Client,
  { workflowId, runId }: ExecutionId,
  extensions: Record<string, unknown>,
): Promise<HttpProblem> {
  const description = await describeWorkflow(client, workflowId, runId).catch((error: unknown) => {
    if (error instanceof HttpProblem) return error;
    throw error;
  });
  if (description instanceof HttpProblem) return description;
  // An update-with-start may not have reached the server.
  if (!description) return httpProblem('worker-busy', 'the workflow was not started in time', extensions);
  const { taskQueue, raw } = description;
  const facts = { taskQueue, ...extensions };
  if (await hasPoller(client, taskQueue, 'workflow', pinnedVersion(raw))) {
    return httpProblem('worker-busy', `the workers of task queue ${taskQueue} did not answer in time`, facts);
  }
  return httpProblem('no-worker', `no worker polls task queue ${taskQueue}`, facts);
}

function pinnedVersion({ workflowExecutionInfo }: WorkflowExecutionDescription['raw']): WorkerVersion | undefined {
  const { behavior, deploymentVersion } = workflowExecutionInfo?.versioningInfo ?? {};
  return behavior === VERSIONING_BEHAVIOR_PINNED ? (deploymentVersion ?? undefined) : undefined;
}

/**
 * Retries an update that the server lost. The server loses an update that would close its workflow when another event
 * arrives at that moment, and returns an error that says so. Every update here is safe to send again.
 */
async function retryLostUpdate<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await run();
    } catch (error) {
      if (!isLostUpdate(error) || tries === MAX_UPDATE_ATTEMPTS) throw error;
    }
  }
}

function isLostUpdate(error: unknown): boolean {
  const grpc = grpcErrorIn(error);
  return grpc?.code === FAILED_PRECONDITION && /unexpected workflow task failure/.test(grpc.details);
}

/** Whether the error says that the workflow does not exist or is closed. */
export function isNotFound(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError || grpcErrorIn(error)?.code === NOT_FOUND;
}

/** The gRPC error of the server, which the client often wraps. */
function grpcErrorIn(error: unknown): { code: number; details: string } | undefined {
  const grpc = (error as { cause?: unknown }).cause ?? error;
  return isGrpcServiceError(grpc) ? grpc : undefined;
}

/** Whether `askWorker` found that the run accepts no further updates. */
export const isUpdateLimitProblem = (error: unknown): error is HttpProblem =>
  error instanceof HttpProblem && error.kind === 'update-limit';

/** Whether the server rejected an update because the run has reached its update limit. */
function isUpdateLimitError(error: unknown): boolean {
  const grpc = grpcErrorIn(error);
  return grpc !== undefined && /total number of (distinct )?updates/i.test(grpc.details);
}

/** The type, message and details with which a workflow rejected an update; undefined for any other error. */
export function updateRejectionOf(error: unknown): { type: string; message: string; details?: unknown[] } | undefined {
  if (!(error instanceof WorkflowUpdateFailedError)) return undefined;
  const { cause } = error;
  if (cause instanceof CancelledFailure) return { type: 'Cancelled', message: cause.message };
  return cause instanceof ApplicationFailure
    ? { type: cause.type ?? 'Refused', message: cause.message, details: cause.details ?? [] }
    : { type: 'Refused', message: cause?.message ?? error.message };
}

const CANCELLED = 1;
const DEADLINE_EXCEEDED = 4;
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;

function isNoResponse(error: unknown): boolean {
  if (error instanceof QueryRejectedError || error instanceof WorkflowUpdateRPCTimeoutOrCancelledError) return true;
  const grpc = grpcErrorIn(error);
  return grpc !== undefined && [CANCELLED, DEADLINE_EXCEEDED, FAILED_PRECONDITION].includes(grpc.code);
}
