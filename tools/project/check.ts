import { join } from 'node:path';
import { runCommand } from '../processes/commands.js';
import { updateClientTypes } from '../openapi/client-types.js';
import { checkDependencies } from './check-dependencies.js';
import { checkLinks } from './check-links.js';
import { checkPhrases } from './check-phrases.js';
import { createReporter } from '../terminal/reporter.js';
import { projectRoot } from '../settings/environment.js';

/**
 * `npm run check [-- <step> …]`: runs all checks that do not execute the code. The steps run in parallel and keep
 * caches in node_modules/.cache. A step prints its output when it fails. With its cache, ESLint does not notice a type
 * that changed in another file. Only a run without the cache, for example in a fresh clone, finds the resulting errors.
 */
const report = createReporter();
const STEP_TIMEOUT_MS = 10 * 60_000;

const cachePath = (name: string): string => join(projectRoot, 'node_modules/.cache', name);

/** Without these variables, the linter of the OpenAPI document sends telemetry and checks for updates. */
const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

const runNodeScript = (name: string, path: string, ...args: string[]) =>
  runCommand({
    name,
    command: process.execPath,
    args: [join('node_modules', path), ...args],
    env,
    timeoutMs: STEP_TIMEOUT_MS,
  });

const steps: Record<string, () => Promise<unknown>> = {
  lint: () =>
    runNodeScript(
      'lint',
      'eslint/bin/eslint.js',
      '.',
      '--cache',
      '--cache-strategy=content',
      '--cache-location',
      cachePath('eslint/'),
    ),
  types: () =>
    runNodeScript(
      'types',
      'typescript/bin/tsc',
      '--noEmit',
      '--incremental',
      '--tsBuildInfoFile',
      cachePath('tsc.tsbuildinfo'),
    ),
  format: () => runNodeScript('format', 'prettier/bin/prettier.cjs', '--check', '.', '--cache'),
  unused: () => runNodeScript('unused', 'knip/bin/knip.js'),
  openapi: () => runNodeScript('openapi', '@redocly/cli/bin/cli.js', 'lint', 'openapi.json'),
  spelling: () =>
    runNodeScript(
      'spelling',
      'cspell/bin.mjs',
      'lint',
      '--no-progress',
      '--dot',
      '--cache',
      '--cache-location',
      cachePath('cspell'),
      '.',
    ),
  phrases: () => checkPhrases(projectRoot),
  links: () => checkLinks(projectRoot),
  dependencies: () => checkDependencies(projectRoot),
};

const stepNames = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(steps);
const unknownSteps = stepNames.filter((name) => !(name in steps));
if (unknownSteps.length > 0) {
  report.print(`Unknown step: ${unknownSteps.join(', ')}. The steps are: ${Object.keys(steps).join(', ')}`);
  process.exit(2);
}
// The steps types, lint and unused need the types of the API client.
await updateClientTypes();
const results = await Promise.all(
  stepNames.map((name) =>
    report.withProgress(name, steps[name]!).then(
      () => true,
      (error: unknown) => {
        report.print((error as Error).message);
        return false;
      },
    ),
  ),
);
const failed = results.filter((isGood) => !isGood).length;
report.print(failed ? `${failed} of ${stepNames.length} checks failed.` : `All ${stepNames.length} checks passed.`);
process.exit(failed ? 1 : 0);
