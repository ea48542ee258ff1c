import { defineConfig } from 'vitest/config';
import { LongestFirstSequencer } from './test/support/setup/longest-first-sequencer.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: 'test/support/setup/global-setup.ts',
    setupFiles: ['test/support/setup/replay-after-each-test.ts', 'test/support/setup/cancellation-scopes.ts'],
    pool: 'forks',
    // Files share modules, not state: each has a server, a database and ids of its own. It saves two seconds of each.
    isolate: false,
    // Two cores are what the suite is kept fast on; each file has a server and a worker of its own, and waits for them often.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirstSequencer },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
