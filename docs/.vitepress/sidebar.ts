import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DefaultTheme } from 'vitepress';

/** The folders of docs/ in reading order. Other folders follow in alphabetical order. */
const FOLDERS = ['tutorial', 'patterns', 'guides', 'concepts', 'reference', 'operations', 'development', 'decisions'];

/** Lists the pages of docs/: first the pages without a folder, then one group for each folder. */
export function createSidebar(docsFolder: string): DefaultTheme.SidebarItem[] {
  const folders = readdirSync(docsFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name);
  const ordered = [
    ...FOLDERS.filter((name) => folders.includes(name)),
    ...folders.filter((name) => !FOLDERS.includes(name)).sort(),
  ];
  const groups = ordered.map((name) => ({
    text: `${name[0]!.toUpperCase()}${name.slice(1)}`,
    items: listPages(docsFolder, `${name}/`),
    collapsed: true,
  }));
  return [...listPages(docsFolder, ''), ...groups.filter(({ items }) => items.length > 0)];
}

function listPages(docsFolder: string, folder: string): DefaultTheme.SidebarItem[] {
  const files = readdirSync(join(docsFolder, folder)).filter((name) => name.endsWith('.md'));
  const index = files.includes('README.md') ? ['README.md'] : [];
  return [...index, ...files.filter((name) => name !== 'README.md').sort()].map((name) => ({
    text: titleOf(join(docsFolder, folder, name)),
    link: `/${folder}${name === 'README.md' ? '' : name.replace(/\.md$/, '')}`,
  }));
}

/** Returns the first heading of a page without Markdown marks. */
function titleOf(file: string): string {
  const heading = /^# (.+)$/m.exec(readFileSync(file, 'utf8'))?.[1];
  return (heading ?? file).replaceAll('`', '');
}
