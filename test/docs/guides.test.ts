import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandEnvironment } from '../support/docs/command-environment.js';
import { readPageBlocks, type PageBlock } from '../support/docs/page-changes.js';
import { toSteps, type PageStep } from '../support/docs/page-steps.js';
import { copyProject, type ProjectCopy } from '../support/docs/project-copy.js';
import { openReaderShell, type ReaderShell } from '../support/docs/reader-shell.js';
import { startReadersStack } from '../support/docs/readers-stack.js';
import { runStep } from '../support/docs/run-step.js';
import { GUIDES_THAT_CHANGE_CODE } from '../support/docs/tested-pages.js';
import { describeOnDevServer } from '../support/temporal/dev-server.js';

/** Type checks, bundles and the tests that the guides name take minutes on a busy machine. */
const TIMEOUT_MS = 15 * 60_000;

const guides: { name: string; blocks: PageBlock[] }[] = [];
for (const name of GUIDES_THAT_CHANGE_CODE) {
  const blocks = readPageBlocks(name);
  if (blocks.some(({ action, marker }) => action !== undefined || marker === 'run')) guides.push({ name, blocks });
  else test.skip(`the changes of ${name} (skipped: the page does not exist or makes no change)`, () => undefined);
}

if (guides.length > 0) describeOnDevServer('a reader who follows the guides in a copy of the project', testGuides);

function testGuides(): void {
  let copy: ProjectCopy;
  let shell: ReaderShell;
  // These commands run once and after the changes of all guides, because each of them takes long.
  const testFiles = new Set<string>();
  const checks = new Set<string>();
  const generators = new Set<string>();
  const stepsOnStack: { page: string; step: PageStep }[] = [];

  beforeAll(async () => {
    copy = await copyProject();
    shell = await openReaderShell({ env: commandEnvironment(), folder: copy.folder, timeoutMs: TIMEOUT_MS });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await shell?.close();
    await copy?.remove();
  });

  test.each(guides)(
    'can apply the changes of $name, and gets the output that the guide shows',
    { timeout: TIMEOUT_MS },
    async ({ name, blocks }) => {
      const steps = toSteps(blocks);
      let isStackStarted = false;
      let trial: Awaited<ReturnType<ProjectCopy['tryOut']>> | undefined;
      for (const block of blocks) {
        if (block.action === 'Try in') trial = await copy.tryOut(block);
        else if (block.action !== undefined) await copy.apply(block);
        const step = steps.find(({ command }) => command === block);
        if (!step) continue;
        isStackStarted ||= block.marker === 'start';
        if (isStackStarted) stepsOnStack.push({ page: name, step });
        else await runNow(name, step);
        await trial?.revert();
        trial = undefined;
      }
    },
  );

  async function runNow(page: string, step: PageStep): Promise<void> {
    const code = step.command.code
      .split('\n')
      .filter((line) => !collect(line))
      .join('\n');
    if (code !== '') await runStep(page, { ...step, command: { ...step.command, code } }, shell);
  }

  /** Whether the line is a command that runs after the changes of all guides. */
  function collect(line: string): boolean {
    const [, command, names = ''] = /^npm (test|run check|run openapi)(?: -- (.+))?$/.exec(line) ?? [];
    if (command === 'test') for (const file of names.split(' ')) testFiles.add(file);
    if (command === 'run check') for (const check of names.split(' ')) checks.add(check);
    if (command === 'run openapi') generators.add(line);
    return command !== undefined;
  }

  async function expectSuccess(command: string): Promise<void> {
    const { output, succeeded } = await shell.run(command);
    expect(succeeded, `${command}:\n${output}`).toBe(true);
  }

  test(
    'sees the checks that the guides name succeed',
    async () => {
      const commands: Record<string, string | undefined> = {
        types: 'npm run --silent check -- types',
        format: `npx prettier --check ${copy.changedFiles().join(' ')}`,
        // Takes half a minute, also for a few files.
        lint: undefined,
      };

      for (const generator of generators) await expectSuccess(generator);
      expect([...checks].filter((name) => !(name in commands))).toEqual([]);
      for (const name of checks) if (commands[name] !== undefined) await expectSuccess(commands[name]);
    },
    TIMEOUT_MS,
  );

  test(
    'sees the tests that the guides name pass',
    async () => {
      // One file after the other, because this test run already uses all processors.
      await expectSuccess(`npm test --silent -- --no-file-parallelism ${[...testFiles].join(' ')}`);
    },
    TIMEOUT_MS,
  );

  test(
    'gets the output that the guides show for the running stack',
    async () => {
      const stack = await startReadersStack({ folder: copy.folder });
      try {
        for (const { page, step } of stepsOnStack) await runStep(page, step, stack);
      } finally {
        await stack.close();
      }
    },
    TIMEOUT_MS,
  );
}
