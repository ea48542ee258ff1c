import { Stryker } from '@stryker-mutator/core';
import { parseArgs } from 'node:util';

/**
 * `npm run mutation [-- [--concurrency <n>] [<file>…]]`: mutation tests of the workflows' rules. It makes one small
 * change at a time and checks that a test fails. The command fails when a change is not detected. The report is in
 * .data/mutation.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { concurrency: { type: 'string' } },
});

const concurrency = values.concurrency === undefined ? undefined : Number(values.concurrency);
if (concurrency !== undefined && !(Number.isInteger(concurrency) && concurrency > 0)) {
  console.error(`--concurrency: "${values.concurrency}" is not a number of runners, such as 1`);
  process.exit(2);
}

await new Stryker({
  ...(positionals.length > 0 && { mutate: positionals }),
  ...(concurrency !== undefined && { concurrency }),
}).runMutationTest();
