import { runConcurrently } from '../../src/async/concurrency.js';
import { withTimeout } from '../../src/async/promises.js';
import { inheritedEnvironment } from '../settings/environment.js';
import { createReporter } from '../terminal/reporter.js';
import type { CaseResult } from './contract-case.js';
import { suites } from './suites.js';
import { UsageError } from './usage-error.js';

const MAX_CONCURRENT_CASES = 10;

/** A case that was broken off can leave an open call, for which the partner may wait. */
const CLOSE_TIMEOUT_MS = 10_000;

const { print } = createReporter();

/**
 * `npm run contract -- <port>`: checks that an adapter keeps the promises of its port. Exits with code 1 if the adapter
 * breaks one, and with code 2 if the arguments are wrong.
 */
const [name = '', file, ...rest] = process.argv.slice(2);
if (!isSuiteName(name) || rest.length > 0) {
  print(usage());
  process.exit(2);
}

const { port, prepare } = suites[name];
const { partner, cases } = await prepare(inheritedEnvironment(), file).catch(exitWithUsageError);
print(`The promises of ${port}, kept by ${partner.name}:\n`);
const results: CaseResult[] = [];
await runConcurrently(cases.length, partner.concurrency ?? MAX_CONCURRENT_CASES, async (n) => {
  const result = await cases[n]!();
  printResult(result);
  results.push(result);
});
await withTimeout(Promise.resolve(partner.close?.()), CLOSE_TIMEOUT_MS, () => print('\nThe partner did not close.'));

const count = (outcome: CaseResult['outcome']) => results.filter((result) => result.outcome === outcome).length;
print(`\n${count('kept')} kept, ${count('broken')} broken, ${count('not tried')} not tried.`);
process.exit(count('broken') > 0 ? 1 : 0);

function isSuiteName(text: string): text is keyof typeof suites {
  return Object.hasOwn(suites, text);
}

function usage(): string {
  const ports = Object.entries(suites).map(
    ([suite, { port, adapters }]) => `${suite}: the port ${port}\n  ${adapters.replaceAll('\n', '\n  ')}`,
  );
  return [
    `Usage: npm run contract -- ${Object.keys(suites).join(' | ')} [<file>]`,
    'Checks the promises of a port. A variable chooses the adapter:',
    ...ports,
    '<file> is a module that exports the function "createPartner", which returns a partner of your own.',
  ].join('\n\n');
}

function printResult(result: CaseResult): void {
  if (result.outcome === 'kept') print(`  kept       ${result.title}`);
  else if (result.outcome === 'not tried') print(`  not tried  ${result.title}: ${result.reason}`);
  else print(`  BROKEN     ${result.title}\n             ${result.error.message.replaceAll('\n', '\n             ')}`);
}

function exitWithUsageError(error: unknown): never {
  if (!(error instanceof UsageError)) throw error;
  print(error.message);
  process.exit(2);
}
