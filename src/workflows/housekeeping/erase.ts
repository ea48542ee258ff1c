import type { EraseInput, EraseResult } from '../../schemas/erasure.js';
import { deletePersonalWorkflows, erasePersonalRecords, findPersonalData } from './activities.js';

/**
 * Erases the personal data of a person: deletes the closed workflows, and erases the records in the database. The rows
 * stay, so that no id can be used again. Erases nothing while an order, a cart or an approval of the person is open. If
 * one opens after the first check, only closed workflows are deleted. Repeated runs are safe, and a run continues what
 * an earlier run has not finished.
 *
 * The history of this workflow contains the id of the person. The caller must delete the run.
 */
export async function erase(input: EraseInput): Promise<EraseResult> {
  const data = await findPersonalData({ input });
  if (data.openCount > 0) return { result: 'blocked', ...data };
  const { customerId, dryRun } = input;
  if (dryRun) return { result: 'planned', ...data };
  await deletePersonalWorkflows({ customerId });
  const openWork = await erasePersonalRecords({ customerId });
  if (openWork) return { result: 'blocked', ...data, ...openWork };
  return { result: 'erased', ...data };
}
