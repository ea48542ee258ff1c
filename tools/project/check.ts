import { join } from 'node:path';
import { runCommand } from '../processes/commands.js';
import { checkDependencies } from './dependencies.js';
import { streamReport } from '../terminal/report.js';
import { checkout } from '../stack/settings.js';

/**
 * `npm run check [-- <step> …]`: everything that is checked without running the code. The steps run side by side, each
 * shows its output when it fails, and each keeps a cache below node_modules/.cache. The cache of ESLint does not notice a
 * type that changed in another file; a fresh clone has no cache.
 */
const report = streamReport();
const STEP_LIMIT_MS = 10 * 60_000;

const cache = (name: string): string => join(checkout, 'node_modules/.cache', name);

/** Options keep the linter of the OpenAPI document from asking the network for updates. */
const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

const script = (name: string, path: string, ...args: string[]) =>
  runCommand({
    name,
    command: process.execPath,
    args: [join('node_modules', path), ...args],
    env,
    limitMs: STEP_LIMIT_MS,
  });

const steps: Record<string, () => Promise<unknown>> = {
  lint: () =>
    script(
      'lint',
      'eslint/bin/eslint.js',
      '.',
      '--cache',
      '--cache-strategy=content',
      '--cache-location',
      cache('eslint/'),
    ),
  types: () =>
    script('types', 'typescript/bin/tsc', '--noEmit', '--incremental', '--tsBuildInfoFile', cache('tsc.tsbuildinfo')),
  format: () => script('format', 'prettier/bin/prettier.cjs', '--check', '.', '--cache'),
  unused: () => script('unused', 'knip/bin/knip.js'),
  openapi: () => script('openapi', '@redocly/cli/bin/cli.js', 'lint', 'openapi.json'),
  dependencies: () => checkDependencies(checkout),
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(steps);
const unknown = names.filter((name) => !(name in steps));
if (unknown.length > 0) {
  report.say(`There is no step ${unknown.join(', ')}. The steps are: ${Object.keys(steps).join(', ')}`);
  process.exit(2);
}
const results = await Promise.all(
  names.map((name) =>
    report.during(name, steps[name]!).then(
      () => true,
      (error: unknown) => {
        report.say((error as Error).message);
        return false;
      },
    ),
  ),
);
const failed = results.filter((isGood) => !isGood).length;
report.say(failed ? `${failed} of ${names.length} checks failed.` : `All ${names.length} checks passed.`);
process.exit(failed ? 1 : 0);
