import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { updateCodeBlocks } from '../../../tools/docs/code-blocks.js';
import { findDeclaration } from '../../../tools/docs/declarations.js';
import { findCodeBlocks, findMarkedBlocks } from '../../../tools/docs/marked-blocks.js';
import { listPages } from '../../../tools/docs/pages.js';
import { projectRoot } from '../../support/processes.js';

const pages = await Promise.all(
  (await listPages(projectRoot)).map(async (name) => ({ name, text: await readFile(join(projectRoot, name), 'utf8') })),
);
const pagesWithCode = pages.filter(({ text }) =>
  findMarkedBlocks(text).some(({ marker }) => marker.startsWith('code:')),
);

describe('the code blocks of the documentation', () => {
  if (pagesWithCode.length === 0) test.skip('contain current code (skipped: no page has a marked code block)');

  test.each(pagesWithCode)('in $name contain the current code ("npm run docs:code" updates them)', async ({ text }) => {
    expect(text).toBe(await updateCodeBlocks(text, projectRoot));
  });
});

const source = `import { a } from 'a';

/** Adds. */
export function add(): void {
  a();
}

const first = 1;

export class Counter {
  private n = 0;

  /** Counts. */
  count(): void {
    this.n += 1;
  }
}
`;

describe('findDeclaration', () => {
  test.each([
    ['add', '/** Adds. */\nexport function add(): void {\n  a();\n}'],
    ['first', 'const first = 1;'],
    ['Counter.count', '/** Counts. */\ncount(): void {\n  this.n += 1;\n}'],
  ])('returns %s with its comment and without indentation', (name, code) => {
    expect(findDeclaration(source, name)).toBe(code);
  });

  test.each(['missing', 'Counter.missing', 'add.missing'])('throws for the unknown name %s', (name) => {
    expect(() => findDeclaration(source, name)).toThrow(`the source does not declare ${name}`);
  });
});

describe('findMarkedBlocks', () => {
  const page = [
    '```sh run',
    'ls',
    'pwd',
    '```',
    '',
    '```sh',
    'not marked',
    '```',
    '````md',
    '```sh run',
    'an example',
    '```',
    '````',
    '1. In a list:',
    '',
    '   ```text output: eventually',
    '   first',
    '     second',
    '   ```',
  ].join('\n');

  test('finds the blocks with a marker, and no block inside another block', () => {
    expect(findMarkedBlocks(page)).toEqual([
      {
        language: 'sh',
        marker: 'run',
        code: 'ls\npwd',
        introduction: '',
        line: 1,
        start: 1,
        end: 3,
        indentation: '',
      },
      {
        language: 'text',
        marker: 'output: eventually',
        code: 'first\n  second',
        introduction: '1. In a list:',
        line: 16,
        start: 16,
        end: 18,
        indentation: '   ',
      },
    ]);
  });

  test('findCodeBlocks also finds the blocks without a marker', () => {
    expect(findCodeBlocks(page).map(({ marker }) => marker)).toEqual(['run', '', '', 'output: eventually']);
  });

  test('rejects a block without an end', () => {
    expect(() => findMarkedBlocks('```sh\nls')).toThrow('line 1: the code block has no closing fence');
  });
});
