import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../settings/environment.js';
import { createReporter } from '../terminal/reporter.js';
import { updateCodeBlocks } from './code-blocks.js';
import { listPages } from './pages.js';

/** `npm run docs:code`: copies the current code of the sources into the marked code blocks of README.md and docs/. */
const report = createReporter();
for (const page of await listPages(projectRoot)) {
  const path = join(projectRoot, page);
  const text = await readFile(path, 'utf8');
  const updated = await updateCodeBlocks(text, projectRoot).catch((error: unknown) => {
    throw new Error(`${page}: ${(error as Error).message}`, { cause: error });
  });
  if (updated === text) continue;
  await writeFile(path, updated);
  report.print(`wrote ${page}`);
}
