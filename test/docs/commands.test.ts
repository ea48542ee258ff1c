import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { matchesOutput } from '../support/docs/output-pattern.js';
import { readSteps, type MarkedBlock, type PageStep } from '../support/docs/page-steps.js';
import type { CommandResult } from '../support/docs/reader-shell.js';
import { startReadersStack, type ReadersStack } from '../support/docs/readers-stack.js';
import { waitUntil } from '../support/processes.js';
import { describeOnDevServer } from '../support/temporal/dev-server.js';

/** The pages with commands, in the order in which a reader reads the pages. The commands share one stack. */
const PAGES = [
  'README.md',
  'docs/patterns/order.md',
  'docs/patterns/cart.md',
  'docs/patterns/approval.md',
  'docs/patterns/batch.md',
  'docs/reference/http-api.md',
];
const PAGE_TIMEOUT_MS = 300_000;
const OUTPUT_TIMEOUT_MS = 60_000;

const pages = await Promise.all(PAGES.map(async (name) => ({ name, found: await readSteps(name) })));
const pagesWithSteps = pages.flatMap(({ name, found }) => ('steps' in found ? [{ name, steps: found.steps }] : []));
for (const { name, found } of pages) {
  if ('missing' in found) test.skip(`the commands of ${name} (skipped: ${found.missing})`, () => undefined);
}

const title = 'a reader who types the commands of the pages in their order';
if (pagesWithSteps.length > 0) describeOnDevServer(title, testPages);

function testPages(): void {
  let stack: ReadersStack;

  beforeAll(async () => {
    stack = await startReadersStack(inject('workflowBundle'));
  }, PAGE_TIMEOUT_MS);
  afterAll(async () => {
    await stack?.close();
  });

  test.each(pagesWithSteps)(
    'gets the output that $name shows',
    { timeout: PAGE_TIMEOUT_MS },
    async ({ name, steps }) => {
      for (const step of steps) {
        await runStep(step).catch((error: unknown) => {
          throw new Error(`${name}:${step.command.line}: ${(error as Error).message}`, { cause: error });
        });
      }
    },
  );

  async function runStep({ command, output }: PageStep): Promise<void> {
    if (command.marker === 'start') return expectOutput(stack.startOutput, output);
    const attempt = async (): Promise<true> => {
      const result = await runUntilAvailable(command.code);
      expect(result.succeeded, `the commands fail with this output:\n${result.output}`).toBe(command.marker === 'run');
      expectOutput(result.output, output);
      return true;
    };
    if (output?.marker !== 'output: eventually') await attempt();
    else await waitUntil(attempt, { description: 'the output', timeoutMs: OUTPUT_TIMEOUT_MS, intervalMs: 250 });
  }

  /** Runs a code block. Repeats the block while the API returns 503, as the response asks. Every block can be repeated. */
  async function runUntilAvailable(code: string): Promise<CommandResult> {
    const run = async () => {
      const result = await stack.run(code);
      return result.output.includes('"status":503,') ? undefined : result;
    };
    return await waitUntil(run, { description: 'an available API', timeoutMs: OUTPUT_TIMEOUT_MS, intervalMs: 250 });
  }

  function expectOutput(actual: string, shown: MarkedBlock | undefined): void {
    if (shown && !matchesOutput(shown.code, actual)) expect(actual, `line ${shown.line}`).toBe(shown.code);
  }
}
