import { Stryker } from '@stryker-mutator/core';
import { parseArgs } from 'node:util';

/**
 * `npm run mutation [-- [--concurrency <n>] [<file>…]]`: runs mutation tests of the workflows' rules. Stryker makes one
 * small change at a time and checks that a test fails. The command fails when no test detects a change. The report is
 * in .data/mutation.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { concurrency: { type: 'string' } },
});

const concurrency = values.concurrency === undefined ? undefined : Number(values.concurrency);
if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency > 0)) {
  console.error(`--concurrency: must be a positive integer, got "${values.concurrency}" (example: --concurrency 1)`);
  process.exit(2);
}

await new Stryker({
  ...(positionals.length > 0 && { mutate: positionals }),
  ...(concurrency !== undefined && { concurrency }),
}).runMutationTest();
