import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import { notFound } from '../problems/http-problem.js';
import { describeWorkflowOr404 } from '../executions/worker-calls.js';
import type { Execution } from '../executions/listing.js';

/** The customer who owns the cart or order. */
export const customerIdOf = ({ typedSearchAttributes }: Pick<Execution, 'typedSearchAttributes'>): string | undefined =>
  typedSearchAttributes.get(customerIdAttribute);

/**
 * Describes a cart or order that `only` may see. Another customer's resource looks as if it did not exist.
 *
 * @throws 404.
 */
export async function describeOwnedOr404(
  client: Client,
  workflowId: string,
  what: string,
  only: string | undefined,
): Promise<WorkflowExecutionDescription> {
  const description = await describeWorkflowOr404(client, workflowId, what);
  assertOwnedBy(description, what, only);
  return description;
}

/** @throws 404 for the cart or order of a customer other than `only`. */
export function assertOwnedBy(description: WorkflowExecutionDescription, what: string, only: string | undefined): void {
  if (only !== undefined && customerIdOf(description) !== only) throw notFound(`there is no ${what}`);
}
