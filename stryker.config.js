/** What is mutated are rules without a server: they run in plain Node. docs/mutation-testing.md says why no others. */
export default {
  mutate: [
    'src/workflows/approval/{contract,stage,state}.ts',
    'src/workflows/batch/{contract,plan,progress,told,window}.ts',
    'src/workflows/cart/changes.ts',
    'src/workflows/shared/saga.ts',
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
