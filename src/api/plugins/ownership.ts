import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { customerIdAttribute } from '../../workflows/order/contract.js';
import { notFound } from './errors.js';
import { describeOr404 } from '../executions/executions.js';
import type { Execution } from '../executions/listing.js';

/** The customer whose cart or order it is. */
export const ownerOf = ({ typedSearchAttributes }: Pick<Execution, 'typedSearchAttributes'>): string | undefined =>
  typedSearchAttributes.get(customerIdAttribute);

/**
 * The description of a cart or order, if `only` may see it: another customer's is as if it were not there.
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

/** @throws 404 for the cart or order of another customer than `only`. */
export function assertOwn(description: WorkflowExecutionDescription, what: string, only: string | undefined): void {
  if (only !== undefined && ownerOf(description) !== only) throw notFound(`there is no ${what}`);
}
