import { afterAll, beforeAll, inject, test } from 'vitest';
import { readSteps } from '../support/docs/page-steps.js';
import { startReadersStack, type ReadersStack } from '../support/docs/readers-stack.js';
import { runStep } from '../support/docs/run-step.js';
import { PAGES_WITH_COMMANDS } from '../support/docs/tested-pages.js';
import { describeOnDevServer } from '../support/temporal/dev-server.js';

const PAGE_TIMEOUT_MS = 300_000;

const pages = await Promise.all(PAGES_WITH_COMMANDS.map(async (name) => ({ name, found: await readSteps(name) })));
const pagesWithSteps = pages.flatMap(({ name, found }) => ('steps' in found ? [{ name, steps: found.steps }] : []));
for (const { name, found } of pages) {
  if ('missing' in found) test.skip(`the commands of ${name} (skipped: ${found.missing})`, () => undefined);
}

const title = 'a reader who types the commands of the pages in their order';
if (pagesWithSteps.length > 0) describeOnDevServer(title, testPages);

function testPages(): void {
  let stack: ReadersStack;

  beforeAll(async () => {
    stack = await startReadersStack({ workflowBundle: inject('workflowBundle') });
  }, PAGE_TIMEOUT_MS);
  afterAll(async () => {
    await stack?.close();
  });

  test.each(pagesWithSteps)(
    'gets the output that $name shows',
    { timeout: PAGE_TIMEOUT_MS },
    async ({ name, steps }) => {
      for (const step of steps) await runStep(name, step, stack);
    },
  );
}
