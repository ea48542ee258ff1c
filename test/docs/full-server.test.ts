import { afterAll, beforeAll, inject, test } from 'vitest';
import { readSteps } from '../support/docs/page-steps.js';
import { startReadersStack, type ReadersStack } from '../support/docs/readers-stack.js';
import { runStep } from '../support/docs/run-step.js';
import { PAGES_FOR_FULL_SERVER } from '../support/docs/tested-pages.js';
import { describeOnFullServer, startFullServer } from '../support/temporal/full-server.js';
import type { DevServer } from '../support/temporal/dev-server.js';

const TIMEOUT_MS = 300_000;

const title = 'an operator who types the commands of the recipes in their order, on the full Temporal server';
describeOnFullServer(title, () => {
  let server: DevServer;
  let stack: ReadersStack;

  beforeAll(async () => {
    server = await startFullServer();
    stack = await startReadersStack({
      workflowBundle: inject('workflowBundle'),
      temporal: server,
    });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await stack?.close();
    await server?.close();
  }, TIMEOUT_MS);

  test.each(PAGES_FOR_FULL_SERVER)('gets the output that %s shows', { timeout: TIMEOUT_MS }, async (name) => {
    const found = await readSteps(name);
    if ('missing' in found) throw new Error(found.missing);
    for (const step of found.steps) await runStep(name, step, stack);
  });
});
