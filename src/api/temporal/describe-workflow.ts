import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { describeExecution, type ExecutionId } from '../../temporal/client/describe-execution.js';
import { httpProblem, notFound } from '../problems/http-problem.js';

/**
 * Describes the workflow of a resource; undefined if Temporal has no workflow with this id.
 *
 * @throws 409 `wrong-workflow-type` when a workflow of another type has this id.
 */
export async function describeWorkflow(
  client: Client,
  id: ExecutionId,
): Promise<WorkflowExecutionDescription | undefined> {
  const description = await describeExecution(client, id);
  if (description) assertWorkflowType(description);
  return description;
}

/** Like `describeWorkflow`. `resource` names the resource in the problem, for example `order 42`. @throws 404. */
export async function describeWorkflowOr404(
  client: Client,
  id: ExecutionId,
  resource: string,
): Promise<WorkflowExecutionDescription> {
  const description = await describeWorkflow(client, id);
  if (!description) throw notFound(`there is no ${resource}`);
  return description;
}

/**
 * Checks the type of a workflow. The workflow id starts with the expected type. @throws 409 `wrong-workflow-type` for
 * another type.
 */
function assertWorkflowType({ workflowId, type, taskQueue }: WorkflowExecutionDescription): void {
  const expected = workflowId.split(':', 1)[0];
  if (type === expected) return;
  const detail = `workflow ${workflowId} has the type ${type}, expected ${expected}; terminate the workflow, or use another id`;
  throw httpProblem('wrong-workflow-type', detail, { workflowType: type, taskQueue });
}
