import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { onTestFinished, test, expect } from 'vitest';
import { findBrokenLinks } from '../../../tools/project/check-links.js';

async function writeFiles(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'links-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return folder;
}

test('findBrokenLinks accepts links to files, folders, anchors of headings and other sites', async () => {
  const folder = await writeFiles({
    'README.md':
      '# Title\n\n[a](docs/page.md#the-config-file) [b](docs) [c](#title) [d](https://example.com/x#y) [e][ref]\n\n' +
      '<a id="top"></a> [f](#top) ![g](docs/page.md) [h](docs/code.ts#L3) [i](docs/page.md#again-1)\n\n[ref]: docs/page.md\n',
    'docs/page.md': '# The `config` file\n\n[up](../README.md#title)\n\n## Again\n\n## Again\n',
    'docs/code.ts': '',
  });
  expect(await findBrokenLinks(folder, ['README.md', 'docs/page.md'])).toEqual([]);
});

test('findBrokenLinks ignores links in code', async () => {
  const folder = await writeFiles({ 'README.md': '`[a](none.md)`\n\n```md\n[b](none.md)\n```\n' });
  expect(await findBrokenLinks(folder, ['README.md'])).toEqual([]);
});

test('findBrokenLinks reports each broken link with its file, line and reason', async () => {
  const folder = await writeFiles({
    'README.md':
      '# Title\n\n[a](none.md)\n\n[b](#none)\n\n[c](docs/page.md#none)\n\n[d](/docs/page.md) [e](../other.md)\n\n' +
      '<img src="none.png">\n',
    'docs/page.md': '# Page\n',
  });
  expect(await findBrokenLinks(folder, ['README.md', 'docs/page.md'])).toEqual([
    'README.md:3: none.md: there is no such file',
    'README.md:5: #none: README.md has no heading with this anchor',
    'README.md:7: docs/page.md#none: docs/page.md has no heading with this anchor',
    'README.md:9: /docs/page.md: write a path relative to this file',
    'README.md:9: ../other.md: is outside the repository',
    'README.md:11: none.png: there is no such file',
  ]);
});
