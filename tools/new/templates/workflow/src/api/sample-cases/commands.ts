import { WorkflowNotFoundError } from '@temporalio/client';
import type { SampleCaseInput, SampleCaseView } from '../../schemas/sample-case.js';
import { isOpen } from '../../temporal/client/closed-executions.js';
import { updateOptionsOf } from '../../temporal/client/operation-ids.js';
import { startOnce } from '../../temporal/client/start-once.js';
import type * as workflows from '../../workflows/index.js';
import {
  completeSampleCaseUpdate,
  SAMPLE_CASE_TASK_QUEUE,
  sampleCaseQuery,
  sampleCaseWorkflowId,
} from '../../workflows/sample-case/contract.js';
import type { Backends } from '../dependencies.js';
import type { RequestContext } from '../http/request-context.js';
import { httpProblem } from '../problems/http-problem.js';
import { describeWorkflowOr404 } from '../temporal/describe-workflow.js';
import { callWorker, readView } from '../temporal/worker-calls.js';

/** Starts a sample case. A repetition with the same content starts nothing. @throws 409 for different content. */
export async function startSampleCase({ client }: Backends, input: SampleCaseInput): Promise<void> {
  const { sampleCaseId } = input;
  const type = 'sampleCase' satisfies keyof typeof workflows;
  const result = await startOnce<typeof workflows.sampleCase>(client, type, input, {
    workflowId: sampleCaseWorkflowId(sampleCaseId),
    taskQueue: SAMPLE_CASE_TASK_QUEUE,
    staticSummary: `Sample case ${sampleCaseId}`,
  });
  if (result === 'conflict')
    throw httpProblem('conflict', `sample case ${sampleCaseId} already exists with different content`);
}

/** Returns a sample case. @throws 404. */
export async function getSampleCase({ client }: Backends, sampleCaseId: string): Promise<SampleCaseView> {
  const description = await describe(client, sampleCaseId);
  return await readView<typeof workflows.sampleCase>(client, description, sampleCaseQuery, { sampleCaseId });
}

/** Completes a sample case. @throws 404; 409 when the sample case is expired. */
export async function completeSampleCase(
  deps: Backends,
  sampleCaseId: string,
  { operationId }: RequestContext,
): Promise<SampleCaseView> {
  const { client } = deps;
  const description = await describe(client, sampleCaseId);
  if (isOpen(description)) {
    const handle = client.workflow.getHandle<typeof workflows.sampleCase>(description.workflowId);
    const complete = () => handle.executeUpdate(completeSampleCaseUpdate, updateOptionsOf(operationId));
    await callWorker(client, description, complete, { sampleCaseId }).catch((error: unknown) => {
      // The sample case closed in the meantime. Its result contains the outcome.
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    });
  }
  const view = await getSampleCase(deps, sampleCaseId);
  if (view.status !== 'completed') throw httpProblem('conflict', `sample case ${sampleCaseId} is ${view.status}`);
  return view;
}

const describe = (client: Backends['client'], sampleCaseId: string) =>
  describeWorkflowOr404(client, { workflowId: sampleCaseWorkflowId(sampleCaseId) }, `sample case ${sampleCaseId}`);
