/**
 * Mutates only the rules that run in plain Node without a server. docs/development/mutation-testing.md explains the
 * reason.
 */
export default {
  mutate: [
    'src/workflows/approval/{argument-validation,contract,decisions,stage-schedule}.ts',
    'src/workflows/batch/{contract,details,progress,shard-input,shard-tree}.ts',
    'src/workflows/cart/{argument-validation,changes}.ts',
    'src/workflows/shared/saga.ts',
    'src/async/concurrency.ts',
  ],
  testRunner: 'vitest',
  vitest: { configFile: 'vitest.mutation.config.ts' },
  ignorePatterns: ['.data', 'dist', 'test/replay'],
  tempDirName: '.data/stryker',
  reporters: ['clear-text', 'progress-append-only', 'html', 'json'],
  htmlReporter: { fileName: '.data/mutation/report.html' },
  jsonReporter: { fileName: '.data/mutation/report.json' },
  thresholds: { high: 100, low: 100, break: 100 },
};
