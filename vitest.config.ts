import { defineConfig } from 'vitest/config';
import { LongestFirstSequencer } from './test/support/setup/longest-first-sequencer.js';

const INTEGRATION_TESTS = ['test/**/*.test.ts', 'examples/**/*.test.ts'];
/** Tests that run the product in processes of its own, or read the documentation as a user. */
const END_TO_END_TESTS = ['test/e2e/**/*.test.ts', 'test/docs/**/*.test.ts'];

export default defineConfig({
  test: {
    // Without arguments, `npm test` runs the first project, and `npm run test:e2e` the second one.
    projects: [
      { extends: true, test: { name: 'integration', include: INTEGRATION_TESTS, exclude: END_TO_END_TESTS } },
      { extends: true, test: { name: 'e2e', include: END_TO_END_TESTS } },
    ],
    globalSetup: 'test/support/setup/global-setup.ts',
    setupFiles: [
      'test/support/setup/fast-processes.ts',
      'test/support/setup/replay-after-each-test.ts',
      'test/support/setup/cancellation-scopes.ts',
    ],
    pool: 'forks',
    // Test files share loaded modules, which saves two seconds per file. They share no state, because each file has its
    // own server, database and ids.
    isolate: false,
    // Four workers also suit machines with two cores, because each file often waits for its own server and worker.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirstSequencer },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
