import { expect, test } from 'vitest';
import { addAfterLast, addImport, addToList, append } from '../../../tools/new/edits.js';

test('addImport adds a line after the last import, also after an import of several lines', () => {
  const text = `import a from './a.js';\nimport {\n  b,\n} from './b.js';\n\nexport const x = [a, b];\n`;

  expect(addImport('x.ts', `import c from './c.js';`).apply(text)).toBe(
    `import a from './a.js';\nimport {\n  b,\n} from './b.js';\nimport c from './c.js';\n\nexport const x = [a, b];\n`,
  );
});

test.each([
  [
    'an array with a trailing comma',
    `const list = [\n  a,\n  b,\n] as const;`,
    `const list = [\n  a,\n  b,\nc,\n] as const;`,
  ],
  ['an array on one line', `const list: X[] = [a, b];`, `const list: X[] = [a, b,\nc,\n];`],
  ['an empty array', `const list = [];`, `const list = [\nc,\n];`],
  ['an object', `const list = { a: 1, b: '}' } satisfies X;`, `const list = { a: 1, b: '}',\nc,\n } satisfies X;`],
  ['a list in a function', `function f() {\n  const list = [a];\n}`, `function f() {\n  const list = [a,\nc,\n];\n}`],
  [
    'the result of a function',
    `function list() {\n  return { ...a(), };\n}`,
    `function list() {\n  return { ...a(),\nc, };\n}`,
  ],
])('addToList adds an entry at the end of %s', (_what, text, expected) => {
  expect(addToList('x.ts', 'list', 'c').apply(text)).toBe(expected);
});

test.each([
  ['no list', `const other = [];`, 'there are 0 lists with the name list'],
  ['a list that is computed', `const list = make();`, 'there are 0 lists'],
  ['two lists', `const list = []; { const list = []; }`, 'there are 2 lists'],
])('addToList fails for %s with this name', (_what, text, problem) => {
  expect(() => addToList('x.ts', 'list', 'c').apply(text)).toThrow(problem);
});

test('addAfterLast adds lines after the last line that matches, and fails without such a line', () => {
  const edit = addAfterLast('x.yaml', /^ {2}- workers\//, '  - workers/c');

  expect(edit.apply('resources:\n  - workers/a\n  - workers/b\n  - other\n')).toBe(
    'resources:\n  - workers/a\n  - workers/b\n  - workers/c\n  - other\n',
  );
  expect(() => edit.apply('resources: []\n')).toThrow('no line matches');
});

test('append adds text at the end of a file', () => {
  expect(append('x.ts', 'b').apply('a\n')).toBe('a\nb\n');
});
