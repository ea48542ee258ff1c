import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import { notFound } from './errors.js';
import { describeOr404 } from '../executions/executions.js';
import type { Execution } from '../executions/listing.js';

/** The customer who owns the cart or order. */
export const ownerOf = ({ typedSearchAttributes }: Pick<Execution, 'typedSearchAttributes'>): string | undefined =>
  typedSearchAttributes.get(customerIdAttribute);

/**
 * Describes a cart or order that `only` may see. Another customer's resource looks as if it did not exist.
 *
 * @throws 404.
 */
export async function describeOwn(
  client: Client,
  workflowId: string,
  what: string,
  only: string | undefined,
): Promise<WorkflowExecutionDescription> {
  const description = await describeOr404(client, workflowId, what);
  assertOwn(description, what, only);
  return description;
}

/** @throws 404 for the cart or order of a customer other than `only`. */
export function assertOwn(description: WorkflowExecutionDescription, what: string, only: string | undefined): void {
  if (only !== undefined && ownerOf(description) !== only) throw notFound(`there is no ${what}`);
}
