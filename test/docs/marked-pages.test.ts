import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { generatedFilesOf } from '../support/docs/generated-files.js';
import { readPageBlocks, type PageBlock } from '../support/docs/page-changes.js';
import {
  GUIDES_THAT_CHANGE_CODE,
  listPages,
  PAGES_FOR_FULL_SERVER,
  PAGES_WITH_COMMANDS,
} from '../support/docs/tested-pages.js';
import { projectRoot, runCommand } from '../support/processes.js';

/** The languages of commands and code. */
const LANGUAGES = ['sh', 'bash', 'console', 'ts', 'diff'];
const FOLDERS = /^(README\.md$|docs\/patterns\/|docs\/guides\/)/;

const pages = (await listPages(projectRoot))
  .filter((name) => FOLDERS.test(name) || PAGES_FOR_FULL_SERVER.includes(name))
  .map((name) => ({ name, blocks: readPageBlocks(name) }));
/** A page without markers is not tested, for example the README of a fork. */
const markedPages = pages.filter(({ blocks }) => blocks.some(({ marker }) => marker !== ''));

/** Whether a test executes the block, or the marker says why not. */
function isTested(page: string, { marker, action }: PageBlock): boolean {
  // test/tools/docs/code-blocks.test.ts compares `code:`, and test/batch-operations/documented-example.test.ts runs `file:`.
  if (/^(code|file|not run): \S/.test(marker)) return true;
  const changesCode = GUIDES_THAT_CHANGE_CODE.includes(page);
  if (/^(start|run|run: fails|output|output: eventually)$/.test(marker))
    return changesCode || [...PAGES_WITH_COMMANDS, ...PAGES_FOR_FULL_SERVER].includes(page);
  return marker === '' && action !== undefined && changesCode;
}

describe('the code blocks of the README, the patterns, the guides and the recipes', () => {
  if (markedPages.length === 0) test.skip('are executed (skipped: no page has marked blocks)');

  test.each(markedPages)('in $name are executed, or their marker says why not', ({ name, blocks }) => {
    const untested = blocks.filter((block) => LANGUAGES.includes(block.language) && !isTested(name, block));

    expect(untested.map(({ line, language, marker }) => `${name}:${line}: ${language} ${marker}`)).toEqual([]);
  });
});

describe('the guides', () => {
  const guides = pages.filter(({ name }) => name.startsWith('docs/guides/'));
  if (guides.length === 0) test.skip('name only files that exist (skipped: there are no guides)');

  test.each(guides)('in $name, every named file exists or is created by a guide', async ({ name }) => {
    const created = [
      ...guides.flatMap(({ blocks }) => blocks.flatMap(({ file = [] }) => file)),
      ...(await generatedFilesOf(guides.flatMap(({ blocks }) => blocks))),
    ];
    const text = await readFile(join(projectRoot, name), 'utf8');
    const named = [...text.matchAll(/`((?:src|test|tools|deploy|examples|docs)\/[\w./-]+)`/g)].map(([, path]) => path!);

    expect(
      named.filter((path) => !existsSync(join(projectRoot, path)) && !created.some((file) => file.startsWith(path))),
    ).toEqual([]);
  });

  const deletions = guides
    .flatMap(({ blocks }) => blocks)
    .filter(({ code }) => code.startsWith('git rm '))
    .map(({ code }) => code.replaceAll(/^git rm (-r )?/gm, 'ls -d '));
  if (deletions.length === 0) test.skip('delete only files that exist (skipped: no guide deletes files)');

  test.each(deletions)('delete only files that exist (%s)', async (script) => {
    const args = ['-e', '-c', script];
    expect(await runCommand({ name: 'ls', command: 'bash', args, timeoutMs: 10_000 })).not.toBe('');
  });
});
