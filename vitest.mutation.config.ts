import { defineConfig } from 'vitest/config';

/**
 * The tests that run against mutants: those of workflow rules that run in plain Node. Workflows in the SDK's sandbox come
 * from a bundle in its own context, where Stryker cannot switch a mutant on.
 */
export default defineConfig({
  test: {
    include: [
      'test/workflows/approval/{argument-validation,contract,decisions,plan}.test.ts',
      'test/workflows/batch/{contract,details,plan,shard-input}.test.ts',
      'test/workflows/cart/changes.test.ts',
      'test/workflows/shared/{concurrency,saga}.test.ts',
    ],
    testTimeout: 60_000,
    setupFiles: ['test/support/setup/cancellation-scopes.ts', 'test/support/setup/fixed-seed.ts'],
  },
});
