import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isOwnedBy, wordsOf, type PatternName } from './patterns.js';
import { readCommandLine, usage } from './command-line.js';
import { editOtherFiles } from './other-files/index.js';
import { createProjectCommands } from './project-commands.js';
import { applyRemovals } from './typescript/removal.js';
import { containsWord, findNamedParts } from './typescript/named-parts.js';
import { repairSources } from './typescript/repair.js';
import { Sources } from './typescript/sources.js';
import { printFailure, type CommandContext } from '../terminal/command.js';

type Print = CommandContext['print'];

/** The command removes itself too, because its tests expect all patterns. */
const OWN_FILES = /^(?:tools|test\/tools|test\/e2e)\/keep\/|^docs\/guides\/remove-a-pattern\.md$/;

/** `npm run keep`: removes patterns from the project in `root`. Returns the exit code. Never throws. */
export async function runKeep(
  args: string[],
  { root, print, printError }: Pick<CommandContext, 'print' | 'printError'> & { root: string },
): Promise<number> {
  try {
    const removed = readCommandLine(args);
    if (removed === 'help') print(usage);
    else await removePatterns(removed, { root, print });
    return 0;
  } catch (error) {
    printFailure(error, usage, printError);
    return 1;
  }
}

async function removePatterns(removed: PatternName[], { root, print }: { root: string; print: Print }): Promise<void> {
  const commands = createProjectCommands(root);
  if (await commands.hasChanges()) throw new Error('The Git tree has changes. Commit or stash the changes first.');
  const files = await commands.listFiles();
  const owned = files.filter((file) => OWN_FILES.test(file) || removed.some((pattern) => isOwnedBy(file, pattern)));
  for (const file of owned) await rm(join(root, file));
  print(`Deleted ${owned.length} files of ${removed.join(' and ')}, and of this command.`);
  const remaining = files.filter((file) => !owned.includes(file));
  await editOtherFiles(root, remaining, {
    words: removed.flatMap(wordsOf),
    exists: (path) => existsSync(join(root, path)),
  });
  const histories = await removeHistories(root, remaining, removed.flatMap(wordsOf));
  print('Removing the uses of these files. This takes minutes.');
  const sources = new Sources(root);
  for (const file of sources.files) removeNamedParts(sources, file, removed.flatMap(wordsOf));
  repairSources(sources, sources.changed, print);
  repairSources(sources, sources.files, print);
  sources.write();
  await commands.generate();
  for (let hasUnused = true; hasUnused;) {
    hasUnused = await commands.removeUnused();
    repairSources(sources, sources.reload(), print);
    sources.write();
  }
  for (const file of sources.changed) {
    if (file.endsWith('.test.ts') && !/\btest\b[.(]/.test(sources.text(file))) await rm(file, { force: true });
  }
  await commands.format();
  await commands.lockDependencies();
  if (histories.length > 0) await commands.recordHistories(histories);
  print('\nNext:\n  git diff\n  npm run check\n  npm test');
}

function removeNamedParts(sources: Sources, file: string, words: readonly string[]): void {
  const parsed = sources.program.getSourceFile(file);
  const parts = parsed && !parsed.isDeclarationFile ? findNamedParts(parsed, words) : [];
  if (parts.length > 0) sources.change(file, applyRemovals(sources.text(file), parts));
}

/**
 * Deletes recorded histories of other workflows with an activity or a child workflow of a pattern. Returns the names of
 * their recordings.
 */
async function removeHistories(root: string, files: readonly string[], words: readonly string[]): Promise<string[]> {
  const names: string[] = [];
  for (const file of files.filter((name) => name.startsWith('test/replay/histories/'))) {
    const history = await readFile(join(root, file), 'utf8');
    const types = [...history.matchAll(/"(?:activity|workflow)Type": \{\s*"name": "(\w+)"/g)].map(([, name]) => name!);
    if (!types.some((name) => containsWord(name, words))) continue;
    await rm(join(root, file));
    names.push(basename(file, '.json'));
  }
  return names;
}
