import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isOwnedBy, wordsOf, type PatternName } from './patterns.js';
import { readCommandLine, usage } from './command-line.js';
import { editOtherFiles } from './other-files/index.js';
import { createProjectCommands, type ProjectCommands } from './project-commands.js';
import { applyRemovals } from './typescript/removal.js';
import { findNamedParts } from './typescript/named-parts.js';
import { repairSources } from './typescript/repair.js';
import { Sources } from './typescript/sources.js';
import { printFailure, type CommandContext } from '../terminal/command.js';

type Print = CommandContext['print'];

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
  const owned = files.filter((file) => removed.some((pattern) => isOwnedBy(file, pattern)));
  for (const file of owned) await rm(join(root, file));
  print(`Deleted ${owned.length} files of ${removed.join(' and ')}.`);
  const remaining = files.filter((file) => !owned.includes(file));
  await editOtherFiles(root, remaining, {
    words: removed.flatMap(wordsOf),
    exists: (path) => existsSync(join(root, path)),
  });
  print('Removing the uses of these files. This takes minutes.');
  const sources = new Sources(root);
  const words = removed.flatMap(wordsOf);
  const named = sources.files
    .filter((file) => !sources.isGenerated(file))
    .map((file) => [file, findNamedParts(sources.parsed(file), words)] as const)
    .filter(([, parts]) => parts.length > 0);
  for (const [file, parts] of named) sources.change(file, applyRemovals(sources.text(file), parts));
  repairSources(sources, print);
  await writeChanges(sources);
  await commands.generateApi();
  await removeUnused(root, commands, print);
  await commands.format();
  print('\nNext:\n  git diff\n  npm run check\n  npm test\n\ndocs/guides/remove-a-pattern.md says what remains.');
}

/** Removes exports and files that nothing uses now, and what depended on them, until nothing is unused. */
async function removeUnused(root: string, commands: ProjectCommands, print: Print): Promise<void> {
  for (let hasUnused = true; hasUnused;) {
    hasUnused = await commands.removeUnused();
    const changed = await commands.changedFiles();
    const sources = new Sources(root, new Set(changed.map((file) => join(root, file))));
    repairSources(sources, print);
    await writeChanges(sources);
  }
}

async function writeChanges(sources: Sources): Promise<void> {
  for (const file of sources.changed) await writeFile(file, sources.text(file));
}
