import { defineConfig } from 'vitest/config';
import { LongestFirstSequencer } from './test/support/setup/longest-first-sequencer.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
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
