import { Stryker } from '@stryker-mutator/core';
import { parseArgs } from 'node:util';

/**
 * `npm run mutation [-- [--concurrency <n>] [<file>…]]`: breaks the rules of the workflows in every small way, one at a
 * time, and looks whether a test sees it. Fails when one is not seen. The report is in .data/mutation.
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
