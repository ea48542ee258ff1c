import { condition } from '@temporalio/workflow';

// In one bundle with the workflows of the shop, as a worker has them: all modules are evaluated for each workflow.
export * from '../src/workflows/index.js';

/** The least that a workflow with a time-out can be: it waits. */
export async function bare(): Promise<void> {
  await condition(() => false, '30 days');
}
