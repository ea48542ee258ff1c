import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import ts from 'typescript';
import { afterAll, expect, test } from 'vitest';
import { applyBlocks, commandsOf, readPageBlocks, type Files, type PageBlock } from '../support/docs/page-changes.js';
import { replayWith } from '../support/docs/tutorial-replay.js';
import { freePort, projectRoot, runCommand, startProcess, typescriptCommand, waitUntil } from '../support/processes.js';
import { describeOnDevServer, startDevServer, type DevServer } from '../support/temporal/dev-server.js';
import '../support/setup/quiet-runtime.js';

const PAGES = ['1-rules.md', '2-workflow.md', '3-http.md', '4-continue-as-new.md', '5-replay.md'] as const;
/** Type checks and bundles take minutes on a busy machine. */
const TIMEOUT_MS = 5 * 60_000;

const FINISHED = join(projectRoot, 'examples/bank-account');
const blocksOf = new Map<string, PageBlock[]>(PAGES.map((page) => [page, readPageBlocks(`docs/tutorial/${page}`)]));

/** A fork that deletes a page of the tutorial does not run its tests. */
const isComplete = PAGES.every((page) => blocksOf.get(page)!.length > 0);
const testTutorial = test.skipIf(!isComplete);

/** Returns the files after the steps up to and including a page. */
function filesAfter(page: (typeof PAGES)[number]): Files {
  const blocks = PAGES.slice(0, PAGES.indexOf(page) + 1).flatMap((each) => blocksOf.get(each)!);
  return applyBlocks(new Map(), blocks, ['Create', 'Change']);
}

const folders: string[] = [];
afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true }))));

/** Writes the files to a new folder, from which their relative imports work as from `examples/my-bank`. */
async function writeFiles(files: Files): Promise<string> {
  const data = join(projectRoot, '.data');
  await mkdir(data, { recursive: true });
  const folder = await mkdtemp(join(data, 'tutorial-'));
  folders.push(folder);
  for (const [file, text] of files) await writeFile(join(folder, file), text);
  return folder;
}

testTutorial('the code blocks of the tutorial result in the files of examples/bank-account', async () => {
  const sources = (await readdir(FINISHED)).filter((file) => file.endsWith('.ts'));
  const finished = await Promise.all(
    sources.map(async (file) => [file, await readFile(join(FINISHED, file), 'utf8')] as const),
  );

  expect(Object.fromEntries(filesAfter('5-replay.md'))).toEqual(Object.fromEntries(finished));
});

testTutorial('every code block of the tutorial names its file', () => {
  const blocks = [...blocksOf.values()].flat();

  expect(blocks.filter(({ language, file }) => ['ts', 'diff'].includes(language) && file === undefined)).toEqual([]);
});

testTutorial(
  'the code type-checks after each step',
  async () => {
    const folders = await Promise.all(PAGES.map((page) => writeFiles(filesAfter(page))));
    const files = (
      await Promise.all(folders.map(async (folder) => (await readdir(folder)).map((file) => join(folder, file))))
    ).flat();
    const { config } = ts.readConfigFile(join(projectRoot, 'tsconfig.json'), (path) => ts.sys.readFile(path));
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, projectRoot);
    const program = ts.createProgram(files, { ...options, noEmit: true });
    const problems = files.flatMap((file) => ts.getPreEmitDiagnostics(program, program.getSourceFile(file)));

    expect(ts.formatDiagnostics(problems, diagnosticsHost)).toBe('');
  },
  TIMEOUT_MS,
);

const diagnosticsHost: ts.FormatDiagnosticsHost = {
  getCurrentDirectory: () => projectRoot,
  getCanonicalFileName: (name) => name,
  getNewLine: () => '\n',
};

describeOnDevServer('the commands of the tutorial', () => {
  testTutorial(
    'print the output that the tutorial shows, and the recorded history replays with the code of the last step',
    async () => {
      const server = await startDevServer();
      try {
        const [afterStep3, finished] = [
          await writeFiles(filesAfter('3-http.md')),
          await writeFiles(filesAfter('5-replay.md')),
        ];
        await runPage('3-http.md', afterStep3, server);
        await runPage('5-replay.md', finished, server);

        expect(await replayWith(finished, finished)).toEqual([{ file: 'ada.json', difference: undefined }]);
      } finally {
        await server.close();
      }
    },
    TIMEOUT_MS,
  );
});

/** Runs the commands of each `console` block while the program of the tutorial runs. */
async function runPage(page: (typeof PAGES)[number], folder: string, { address }: DevServer): Promise<void> {
  const env = { TEMPORAL_ADDRESS: address, PORT: String(await freePort()) };
  for (const block of blocksOf.get(page)!.filter(({ language }) => language === 'console')) {
    const program = await startProgram(folder, env);
    try {
      for (const { command, output } of commandsOf(block)) {
        const script = command
          .replace(':3100/', `:${env.PORT}/`)
          .replace('examples/my-bank', relative(projectRoot, folder));
        const printed = await runCommand({
          name: command,
          command: 'sh',
          args: ['-c', script],
          env,
          timeoutMs: 60_000,
        });
        expect(printed.trimEnd(), command).toBe(output);
      }
    } finally {
      await program.stop();
    }
  }
}

async function startProgram(folder: string, env: Record<string, string>) {
  let isListening = false;
  const program = await startProcess({
    name: 'tutorial',
    ...typescriptCommand(join(relative(projectRoot, folder), 'main.ts')),
    env,
    onLine: (line) => {
      isListening ||= line.includes('listens on');
    },
  });
  await waitUntil(() => isListening || undefined, { description: 'the API of the tutorial', timeoutMs: 60_000 });
  return program;
}

testTutorial(
  'the recorded histories do not replay with the change that the tutorial suggests to try',
  async () => {
    const blocks = blocksOf.get('5-replay.md')!;
    const changed = await writeFiles(applyBlocks(filesAfter('5-replay.md'), blocks, ['Try in']));
    const outcomes = await replayWith(changed, FINISHED);

    const shown = blocks.find(({ language }) => language === 'text')!.code.trimEnd();
    expect(outcomes.filter(({ difference }) => difference === undefined)).toEqual([]);
    expect(outcomes.find(({ file }) => file === 'ada.json')!.difference).toBe(shown);
  },
  TIMEOUT_MS,
);
