import { condition } from '@temporalio/workflow';

// Adds the workflows of the shop to this bundle, because a worker evaluates all modules of its bundle for each
// workflow.
export * from '../../../src/workflows/index.js';

/** The smallest workflow that waits with a timeout. */
export async function waitOnly(): Promise<void> {
  await condition(() => false, '30 days');
}
