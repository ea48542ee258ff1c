import { defineConfig } from 'vitest/config';

/**
 * The tests that look for mutants: those that run rules of workflows in plain Node. Workflows in the SDK's sandbox come
 * from a bundle, in a context of its own, where no mutant could be switched on.
 */
export default defineConfig({
  test: {
    include: [
      'test/workflows/approval/{contract,stage,state}.test.ts',
      'test/workflows/batch/{contract,plan,progress,told,window}.test.ts',
      'test/workflows/cart/changes.test.ts',
      'test/workflows/shared/saga.test.ts',
    ],
    testTimeout: 60_000,
    setupFiles: ['test/support/setup/cancellation-scopes.ts', 'test/support/setup/fixed-seed.ts'],
  },
});
