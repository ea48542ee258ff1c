import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: ['test/support/every-test.ts', 'test/support/cancellation-scopes.ts'],
    pool: 'forks',
    // Files share modules, not state: each has a server, a database and ids of its own. It saves two seconds of each.
    isolate: false,
    // Two cores are what the suite is kept fast on; each file has a server and a worker of its own, and waits for them often.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
