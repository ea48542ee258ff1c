import { defineConfig } from 'vitest/config';

/**
 * Runs the tests of workflow rules in plain Node against mutants. Workflows in the SDK's sandbox run from a bundle in a
 * separate context, where Stryker cannot activate a mutant.
 */
export default defineConfig({
  test: {
    include: [
      'test/workflows/approval/{argument-validation,contract,decisions,recipients,stage-schedule}.test.ts',
      'test/workflows/batch/{contract,details,progress,shard-input,shard-tree}.test.ts',
      'test/workflows/cart/changes.test.ts',
      'test/workflows/shared/saga.test.ts',
      'test/async/concurrency.test.ts',
    ],
    testTimeout: 60_000,
    setupFiles: ['test/support/setup/cancellation-scopes.ts', 'test/support/setup/fixed-seed.ts'],
  },
});
