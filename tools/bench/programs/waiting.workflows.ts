import { condition } from '@temporalio/workflow';

// In one bundle with the workflows of the shop, like on a real worker: the worker evaluates all modules of the bundle
// for each workflow.
export * from '../../../src/workflows/index.js';

/** The minimum for a workflow with a timeout: it only waits. */
export async function waitOnly(): Promise<void> {
  await condition(() => false, '30 days');
}
