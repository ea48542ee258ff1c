import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import * as workflows from '../../src/workflows/index.js';
import { projectRoot } from '../support/processes.js';

test('every workflow type has a page in docs/patterns or docs/operations that names the type', async () => {
  const folders = ['docs/patterns', 'docs/operations'].map((folder) => join(projectRoot, folder));
  const files = (
    await Promise.all(folders.map(async (folder) => (await readdir(folder)).map((name) => join(folder, name))))
  )
    .flat()
    .filter((file) => file.endsWith('.md'));
  const text = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).join('\n');
  const missing = Object.keys(workflows).filter((type) => !new RegExp(`\`${type}\`|--type ${type}\\b`).test(text));

  expect(
    missing,
    'write a page docs/patterns/<workflow>.md that contains the name of the type in backticks; ' +
      'see docs/guides/add-a-workflow.md',
  ).toEqual([]);
});
