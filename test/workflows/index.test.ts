import { expect, test } from 'vitest';

test('loading the workflows uses no state of a workflow execution', async () => {
  // The SDK can load a module once for many executions, so a module must not keep the id or task queue of an execution.
  const workflows = await import('../../src/workflows/index.js');
  expect(Object.keys(workflows)).toContain('cart');
});
