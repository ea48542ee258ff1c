import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyProject, type ProjectCopy } from '../../support/docs/project-copy.js';
import { openReaderShell, type ReaderShell } from '../../support/docs/reader-shell.js';
import { commandEnvironment } from '../../support/docs/command-environment.js';
import { describeOnDevServer } from '../../support/temporal/dev-server.js';

/** Type checks, lint and tests of the new parts take minutes on a busy machine. */
const TIMEOUT_MS = 10 * 60_000;

describeOnDevServer('npm run new in a copy of the project', () => {
  let copy: ProjectCopy;
  let shell: ReaderShell;

  beforeAll(async () => {
    copy = await copyProject();
    shell = await openReaderShell({ env: commandEnvironment(), folder: copy.folder, timeoutMs: TIMEOUT_MS });
  }, TIMEOUT_MS);
  afterAll(async () => {
    await shell?.close();
    await copy?.remove();
  });

  const path = (file: string) => join(copy.folder, file);

  async function expectSuccess(command: string): Promise<string> {
    // At a low priority, so that the tests that run at the same time keep their deadlines.
    const { output, succeeded } = await shell.run(`nice -n 19 ${command}`);
    expect(succeeded, `${command}:\n${output}`).toBe(true);
    return output;
  }

  async function expectFailure(command: string, message: string): Promise<void> {
    const { output, succeeded } = await shell.run(command);
    expect(output).toContain(message);
    expect(succeeded).toBe(false);
  }

  /** Returns the files that the generator created and changed, from its output. */
  const listedFiles = (output: string) =>
    [...output.matchAll(/^ {2}([\w./-]+\/[\w./-]+\.(?:ts|md|ya?ml))$/gm)].map(([, file]) => file!);

  const files: string[] = [];

  test('explains its usage, and rejects names without writing a file', async () => {
    expect(await expectSuccess('npm run --silent new -- --help')).toContain('npm run new -- workflow price-alert');
    await expectFailure('npm run --silent new', 'expected a kind and a name');
    await expectFailure('npm run --silent new -- saga refund', 'unknown kind "saga": must be ');
    await expectFailure('npm run --silent new -- workflow PriceAlert', 'kebab case');
    await expectFailure('npm run --silent new -- workflow order', 'The name order is taken');
    await expectFailure('npm run --silent new -- activity charge-payment', 'an activity of the type chargePayment');
    expect(existsSync(path('docs/patterns/orders.md'))).toBe(false);
  });

  test('writes nothing and names the entry when a registration has no place', async () => {
    const file = 'src/temporal/task-queues.ts';
    const text = await readFile(path(file), 'utf8');
    await writeFile(path(file), text.replaceAll('TASK_QUEUES', 'QUEUES'));

    await expectFailure('npm run --silent new -- workflow price-alert', `Cannot register the new part in ${file}`);

    expect(existsSync(path('src/workflows/price-alert'))).toBe(false);
    await writeFile(path(file), text);
  });

  test.each([
    ['workflow', 'price-alert'],
    ['operation', 'recount'],
    ['activity', 'check-credits'],
  ])('adds a new %s with the name %s, but not twice', { timeout: TIMEOUT_MS }, async (kind, name) => {
    const output = await expectSuccess(`npm run --silent new -- ${kind} ${name}`);

    expect(output).toContain('Next:');
    files.push(...listedFiles(output));
    expect(files.filter((file) => !existsSync(path(file)))).toEqual([]);
    await expectFailure(`npm run --silent new -- ${kind} ${name}`, 'is taken');
  });

  test(
    'writes files that the compiler, the formatter, the linter and the spelling check accept',
    async () => {
      const sources = files.filter((file) => file.endsWith('.ts')).join(' ');
      expect(sources).toContain('src/workflows/price-alert/workflow.ts');
      await expectSuccess('npm run --silent check -- types');
      await expectSuccess(`npx prettier --check ${files.join(' ')}`);
      await expectSuccess(`npx eslint ${sources}`);
      await expectSuccess(`npx cspell lint --no-progress --no-gitignore ${files.join(' ')}`);
    },
    TIMEOUT_MS,
  );

  test(
    'writes tests that pass, examples of each operation, and histories that replay',
    async () => {
      const tests = [
        ...files.filter((file) => file.endsWith('.test.ts')),
        'test/replay/recorded-histories.test.ts',
        'test/api/plugins/openapi/document.test.ts',
      ];
      await expectSuccess(`npm test --silent -- --no-file-parallelism ${[...new Set(tests)].join(' ')}`);
    },
    TIMEOUT_MS,
  );
});
