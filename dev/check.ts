import { runCommand } from './commands.js';
import { checkDependencies } from './dependencies.js';
import { streamReport } from './report.js';
import { checkout } from './settings.js';

const report = streamReport();
const limitMs = 10 * 60_000;

/** `npm run check`: runs every static check. The output of a check is shown when it fails. */
const checks = [
  ['types', 'typescript/bin/tsc', '--noEmit'],
  ['lint', 'eslint/bin/eslint.js', '.'],
  ['formatting', 'prettier/bin/prettier.cjs', '--check', '.'],
  ['unused code and dependencies', 'knip/bin/knip.js'],
  ['the OpenAPI document', '@redocly/cli/bin/cli.js', 'lint', 'openapi.json'],
] as const;

/** Without these, the document's linter checks for updates over the network. */
const env = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

let failed = 0;
const check = async (name: string, run: () => Promise<unknown>): Promise<void> => {
  await report.during(name, run).catch((error: unknown) => {
    failed += 1;
    report.say((error as Error).message);
  });
};
for (const [name, script, ...args] of checks) {
  const command = { command: process.execPath, args: [`node_modules/${script}`, ...args], env };
  await check(name, () => runCommand({ name, ...command, limitMs }));
}
await check('dependencies', () => checkDependencies(checkout));
const all = checks.length + 1;
report.say(failed ? `${failed} of ${all} checks failed.` : `All ${all} checks passed.`);
process.exit(failed ? 1 : 0);
