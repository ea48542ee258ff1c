import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { slug } from 'github-slugger';
import { createMarkdownRenderer, type MarkdownRenderer } from 'vitepress';

/** The links of templates are relative to the page that `npm run new` writes. */
const TEMPLATES_FOLDER = 'tools/new/templates/';

interface Link {
  href: string;
  line: number;
}

interface Page {
  anchors: Set<string>;
  links: Link[];
}

/**
 * Checks the links in all Markdown files of the repository: the target file must exist, and a Markdown file must have
 * the anchor. Links to other sites are not followed, so that the check works offline.
 *
 * @throws with one line for each broken link.
 */
export async function checkLinks(folder: string): Promise<void> {
  const { stdout } = await promisify(execFile)('git', ['-c', 'safe.directory=*', 'ls-files', '-z', '*.md'], {
    cwd: folder,
  });
  const files = stdout
    .split('\0')
    .filter((file) => file && !file.startsWith(TEMPLATES_FOLDER) && existsSync(join(folder, file)));
  const problems = await findBrokenLinks(folder, files);
  if (problems.length > 0) throw new Error(problems.join('\n'));
}

/** Returns the broken links in Markdown files, one line per link. The file names are relative to `folder`. */
export async function findBrokenLinks(folder: string, files: string[]): Promise<string[]> {
  // The same parser as the docs site, with the anchors of GitHub.
  const parser = await createMarkdownRenderer(folder, { anchor: { slugify: slug } });
  const pages = new Map<string, Page>();
  for (const file of files) {
    pages.set(resolve(folder, file), parsePage(parser, await readFile(join(folder, file), 'utf8')));
  }
  return [...pages].flatMap(([path, { links }]) =>
    links.flatMap(({ href, line }) => {
      const problem = findProblem({ href, path, folder, pages });
      return problem ? [`${relative(folder, path)}:${line}: ${href}: ${problem}`] : [];
    }),
  );
}

function findProblem(link: {
  href: string;
  path: string;
  folder: string;
  pages: Map<string, Page>;
}): string | undefined {
  const { href, path, folder, pages } = link;
  if (/^([a-z][a-z+.-]*:|\/\/)/i.test(href)) return undefined;
  if (href.startsWith('/')) return 'write a path relative to this file';
  const [file = '', anchor] = href.split('#').map(decodeURIComponent);
  const target = file === '' ? path : resolve(dirname(path), file);
  if (relative(folder, target).startsWith('..')) return 'is outside the repository';
  if (!existsSync(target)) return 'there is no such file';
  if (anchor === undefined) return undefined;
  const page = pages.get(statSync(target).isDirectory() ? join(target, 'README.md') : target);
  if (!page || page.anchors.has(anchor)) return undefined;
  return `${relative(folder, target)} has no heading with this anchor`;
}

function parsePage(parser: MarkdownRenderer, text: string): Page {
  const anchors = new Set<string>();
  const links: Link[] = [];
  for (const block of parser.parse(text, { path: '' })) {
    if (block.type === 'heading_open') anchors.add(block.attrGet('id') ?? '');
    const line = (block.map?.[0] ?? 0) + 1;
    for (const token of [block, ...(block.children ?? [])]) {
      const href =
        token.type === 'link_open' ? token.attrGet('href') : token.type === 'image' ? token.attrGet('src') : '';
      if (href) links.push({ href, line });
      if (token.type === 'html_inline' || token.type === 'html_block') {
        for (const [, name, value] of token.content.matchAll(/\s(id|name|href|src|srcset)="([^"]+)"/g)) {
          if (name === 'id' || name === 'name') anchors.add(value!);
          else links.push({ href: value!, line });
        }
      }
    }
  }
  return { anchors, links };
}
