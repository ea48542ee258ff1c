import { defineConfig } from 'vitest/config';
import { LongestFirstSequencer } from './test/support/setup/longest-first-sequencer.js';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    globalSetup: 'test/support/setup/global-setup.ts',
    setupFiles: ['test/support/setup/replay-after-each-test.ts', 'test/support/setup/cancellation-scopes.ts'],
    pool: 'forks',
    // Files share modules but no state: each file has its own server, database and ids. Saves two seconds per file.
    isolate: false,
    // For machines with two cores: each file has its own server and worker, and often waits for them.
    maxWorkers: 4,
    sequence: { sequencer: LongestFirstSequencer },
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
