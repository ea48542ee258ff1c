import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { runCommand } from '../processes/commands.js';
import { parseArguments, UsageError } from '../terminal/command-line.js';
import { printFailure, type CommandContext } from '../terminal/command.js';
import { canRename, renamePath, renameText } from './rename-rules.js';

export const usage = `Usage: npm run rename -- <name>
Renames the project in all files: package, images, metrics, database and its roles, namespace, labels and title.
Run it once, before the first deployment. Commit your changes first.

  <name>   2 to 20 lower-case letters and digits, the first one a letter
  --help   show this text

Exit code: 0 on success, 2 after an error`;

const NAME = /^[a-z][a-z0-9]{1,19}$/;

/**
 * Names that the database or Kubernetes reserves, that YAML reads as another value than a string, that the deployment
 * uses for other parts, or that other metrics have as their prefix. Key words of SQL are no problem: databases.sql
 * quotes the names.
 */
const RESERVED_NAMES = new Set([
  'none',
  'pg',
  'template0',
  'template1',
  'null',
  'true',
  'false',
  'yes',
  'no',
  'on',
  'off',
  'default',
  'postgres',
  'temporal',
  'fakes',
  'user',
  'public',
  'worker',
  'api',
  'setup',
  'http',
  'nodejs',
  'process',
]);

const COMMAND_TIMEOUT_MS = 120_000;

/** `npm run rename`: renames the project in `folder`. Returns the exit code. Never throws. */
export async function runRename(args: string[], folder: string, context: CommandContext): Promise<number> {
  try {
    const { values: options, positionals } = parseArguments({
      args,
      allowPositionals: true,
      options: { help: { type: 'boolean', default: false } },
    });
    if (options.help) {
      context.print(usage);
      return 0;
    }
    const [name, ...rest] = positionals;
    if (name === undefined || rest.length > 0) throw new UsageError('Give one name: npm run rename -- acme');
    if (!NAME.test(name) || RESERVED_NAMES.has(name))
      throw new UsageError(`"${name}" is not a possible name (example: acme)`);
    await renameProject(name, folder, context);
    return 0;
  } catch (error) {
    printFailure(error, usage, context.printError);
    return 2;
  }
}

async function renameProject(name: string, folder: string, { print }: CommandContext): Promise<void> {
  const git = (...args: string[]) => run(folder, 'git', args);
  if ((await git('status', '--porcelain')).trim() !== '')
    throw new Error(
      'The folder has uncommitted changes. Commit them, so that "git diff" shows the changes, and "git restore . && git clean -fd deploy" reverts them.',
    );

  const changed: string[] = [];
  for (const file of (await git('ls-files')).split('\n').filter(Boolean)) {
    if (canRename(file) && (await renameFile(folder, file, name))) changed.push(renamePath(file, name));
  }
  if (changed.length === 0) throw new Error('No file contains the old names. The project was already renamed.');
  await addWord(join(folder, 'project-words.txt'), name);
  print(`Renamed the project to ${name} in ${changed.length} files.`);

  const runFile = (...args: string[]) => run(folder, process.execPath, args);
  print('Formatting the files, and generating openapi.json, the client and the reference pages …');
  await runFile(
    'node_modules/prettier/bin/prettier.cjs',
    '--write',
    '--ignore-unknown',
    '--log-level=warn',
    ...changed,
  );
  await runFile('tools/run.mjs', 'tools/openapi/main.ts');
  await runFile('tools/run.mjs', 'tools/docs/main.ts');
  print(`Done. Next: look at the changes with "git diff", run "npm run check" and "npm test", and commit.
The data of the old stack stays in .data. Delete the folder to start empty.`);
}

/** @returns whether the file has changed. */
async function renameFile(folder: string, file: string, name: string): Promise<boolean> {
  const bytes = await readFile(join(folder, file));
  if (bytes.includes(0)) return false; // a binary file
  const text = bytes.toString('utf8');
  const [newText, newFile] = [renameText(text, file, name), renamePath(file, name)];
  if (newText !== text) await writeFile(join(folder, file), newText);
  if (newFile !== file) {
    await mkdir(dirname(join(folder, newFile)), { recursive: true });
    await rename(join(folder, file), join(folder, newFile));
  }
  return newText !== text || newFile !== file;
}

/** Adds a word to the word list of the spelling check, which is sorted. */
async function addWord(path: string, word: string): Promise<void> {
  const words = (await readFile(path, 'utf8')).trimEnd().split('\n');
  const isLess = (other: string) => other.toLowerCase() < word.toLowerCase();
  if (!words.includes(word)) words.splice(words.filter(isLess).length, 0, word);
  await writeFile(path, `${words.join('\n')}\n`);
}

const run = (cwd: string, command: string, args: string[]): Promise<string> =>
  runCommand({ name: command, command, args, cwd, timeoutMs: COMMAND_TIMEOUT_MS });
