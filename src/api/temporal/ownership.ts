import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { Execution } from '../../temporal/client/visibility.js';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import { notFound } from '../problems/http-problem.js';
import { describeWorkflowOr404 } from './describe-workflow.js';

/** Returns the customer who owns the cart or order. */
export const customerIdOf = ({ typedSearchAttributes }: Pick<Execution, 'typedSearchAttributes'>): string | undefined =>
  typedSearchAttributes.get(customerIdAttribute);

interface OwnedResource {
  /** Names the resource in the problem, for example `order 42`. */
  resource: string;
  /** The caller may access only the resources of this customer. Undefined for callers who may access all resources. */
  restrictedToId: string | undefined;
}

/**
 * Describes the workflow of a cart or order that the caller may see. @throws 404 if the workflow does not exist or
 * another customer owns the resource.
 */
export async function describeOwnedOr404(
  client: Client,
  workflowId: string,
  owned: OwnedResource,
): Promise<WorkflowExecutionDescription> {
  const description = await describeWorkflowOr404(client, { workflowId }, owned.resource);
  assertOwned(description, owned);
  return description;
}

/** Checks that the caller may see a cart or order. @throws 404 if another customer owns the resource. */
export function assertOwned(
  description: WorkflowExecutionDescription,
  { resource, restrictedToId }: OwnedResource,
): void {
  if (restrictedToId !== undefined && customerIdOf(description) !== restrictedToId)
    throw notFound(`there is no ${resource}`);
}
