import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitepress';
import { markdownOptions } from './markdown.js';
import { createSidebar } from './sidebar.js';

const docsFolder = fileURLToPath(new URL('..', import.meta.url));

/** The docs site: `npm run docs` serves it, `npm run docs:build` writes static pages to docs/.vitepress/dist. */
export default defineConfig({
  title: 'Workflow patterns',
  description: 'Workflow patterns on the Temporal TypeScript SDK, as one running shop.',
  cacheDir: fileURLToPath(new URL('../../node_modules/.cache/vitepress', import.meta.url)),
  // GitHub shows README.md for a folder, a web server shows index.html.
  rewrites: (page) => page.replace(/(^|\/)README\.md$/, '$1index.md'),
  markdown: markdownOptions,
  themeConfig: {
    sidebar: createSidebar(docsFolder),
    outline: [2, 3],
    search: { provider: 'local' },
  },
});
