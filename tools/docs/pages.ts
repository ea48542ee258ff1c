import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** Returns the paths of README.md and of all Markdown pages in docs/, relative to the folder of the project. */
export async function listPages(root: string): Promise<string[]> {
  const folder = join(root, 'docs');
  const entries = existsSync(folder) ? await readdir(folder, { recursive: true, withFileTypes: true }) : [];
  const pages = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.md') && !entry.parentPath.includes('node_modules'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
  return [...(existsSync(join(root, 'README.md')) ? ['README.md'] : []), ...pages.sort()];
}
