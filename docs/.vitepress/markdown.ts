import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { slug } from 'github-slugger';
import type { MarkdownOptions, MarkdownRenderer } from 'vitepress';

const projectRoot = fileURLToPath(new URL('../..', import.meta.url));
const docsFolder = resolve(projectRoot, 'docs');

/** How the docs site renders Markdown. Headings have the same anchors as on GitHub. */
export const markdownOptions: MarkdownOptions = {
  anchor: { slugify: slug },
  config(md) {
    renderDiagrams(md);
    rewriteLinks(md, readRepositoryUrl());
  },
};

/** Writes Mermaid blocks as text. The theme replaces the text with a picture in the browser. */
function renderDiagrams(md: MarkdownRenderer): void {
  const renderFence = md.renderer.rules.fence!;
  md.renderer.rules.fence = (tokens, index, ...rest) => {
    const { info, content } = tokens[index]!;
    return info.trim() === 'mermaid'
      ? `<pre class="mermaid" v-pre>${md.utils.escapeHtml(content)}</pre>`
      : renderFence(tokens, index, ...rest);
  };
}

/**
 * The site has only the pages in docs/. Links to other files of the repository lead to the repository that
 * package.json names. Without a repository in package.json, these links become plain text.
 */
function rewriteLinks(md: MarkdownRenderer, repositoryUrl: string | undefined): void {
  md.core.ruler.push('repository_links', ({ tokens, env }) => {
    const { path, realPath = path } = env as { path: string; realPath?: string };
    let isPlainText = false;
    for (const token of tokens.flatMap(({ children }) => children ?? [])) {
      if (token.type === 'link_open') {
        const href = token.attrGet('href')!;
        isPlainText = false;
        if (/^([a-z]+:|#)/.test(href)) continue;
        const [file = '', anchor] = href.split('#');
        const target = resolve(dirname(realPath), decodeURI(file));
        if (!relative(docsFolder, target).startsWith('..') && file.endsWith('.md')) {
          token.attrSet('href', href.replace(/(^|\/)README\.md(?=#|$)/, '$1index.md'));
        } else if (repositoryUrl) {
          const hash = anchor ? `#${anchor}` : '';
          token.attrSet('href', `${repositoryUrl}/blob/HEAD/${relative(projectRoot, target)}${hash}`);
        } else {
          token.tag = 'span';
          token.attrs = [['title', relative(projectRoot, target)]];
          isPlainText = true;
        }
      } else if (token.type === 'link_close' && isPlainText) {
        token.tag = 'span';
      }
    }
  });
}

/** Returns the web address of the repository in package.json, if any. */
function readRepositoryUrl(): string | undefined {
  const { repository } = JSON.parse(readFileSync(resolve(projectRoot, 'package.json'), 'utf8')) as {
    repository?: string | { url: string };
  };
  const url = typeof repository === 'string' ? repository : repository?.url;
  return url?.replace(/^git\+/, '').replace(/\.git$/, '');
}
