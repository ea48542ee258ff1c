import { defineConfig, type TestUserConfig } from 'vitest/config';
import { readTestNeeds, TEST_GLOBS, unitTestsOf } from './tools/project/test-tiers.js';
import { testsOfChange } from './tools/project/tests-of-change.js';
import { LongestFirstSequencer } from './test/support/setup/longest-first-sequencer.js';

const needs = readTestNeeds();
const unit = needs ? unitTestsOf(needs) : [];

/** The options of all projects. With `extends`, vitest would evaluate this file again for each project. */
const shared: TestUserConfig = {
  pool: 'forks',
  // Test files share loaded modules, which saves two seconds per file. They share no state, because each file has its
  // own server, database and ids.
  isolate: false,
  testTimeout: 60_000,
  hookTimeout: 120_000,
};

/** Tests that use servers, programs or builds of the global setup. */
const withServers: TestUserConfig = {
  ...shared,
  globalSetup: 'test/support/setup/global-setup.ts',
  setupFiles: [
    'test/support/setup/fast-processes.ts',
    'test/support/setup/replay-after-each-test.ts',
    'test/support/setup/cancellation-scopes.ts',
  ],
};

export default defineConfig({
  test: {
    // `npm test` runs the first two projects, `npm run test:unit`, `test:integration` and `test:e2e` one of them.
    projects: [
      { test: { ...shared, name: 'unit', include: unit, setupFiles: 'test/support/setup/cancellation-scopes.ts' } },
      // A test file that is created in watch mode belongs to this project until the next start.
      {
        test: {
          ...withServers,
          name: 'integration',
          include: TEST_GLOBS.all,
          exclude: [...TEST_GLOBS.e2e, ...unit],
        },
      },
      { test: { ...withServers, name: 'e2e', include: TEST_GLOBS.e2e } },
    ],
    // Four workers also suit machines with two cores, because each file often waits for its own server and worker.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirstSequencer },
    watchTriggerPatterns: [{ pattern: /\/(src|test|tools|examples)\/.+\.(ts|tsx)$/, testsToRun: testsOfChange }],
  },
});
