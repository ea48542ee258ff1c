import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { Execution } from '../../temporal/client/visibility.js';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import { notFound } from '../problems/http-problem.js';
import { describeWorkflowOr404 } from './describe-workflow.js';

/** The customer who owns the cart or order. */
export const customerIdOf = ({ typedSearchAttributes }: Pick<Execution, 'typedSearchAttributes'>): string | undefined =>
  typedSearchAttributes.get(customerIdAttribute);

interface OwnedResource {
  /** Names the resource in the problem, as in `order 42`. */
  resource: string;
  /** The customer whose resources the caller is restricted to; undefined for callers who see all. */
  restrictedToId: string | undefined;
}

/** Describes a cart or order that the caller may see. @throws 404, also for another customer's resource. */
export async function describeOwnedOr404(
  client: Client,
  workflowId: string,
  owned: OwnedResource,
): Promise<WorkflowExecutionDescription> {
  const description = await describeWorkflowOr404(client, { workflowId }, owned.resource);
  assertOwned(description, owned);
  return description;
}

/** Hides another customer's cart or order as if it did not exist. @throws 404. */
export function assertOwned(
  description: WorkflowExecutionDescription,
  { resource, restrictedToId }: OwnedResource,
): void {
  if (restrictedToId !== undefined && customerIdOf(description) !== restrictedToId)
    throw notFound(`there is no ${resource}`);
}
