import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { checkBundle } from '../../../src/startup/checks/bundle.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bundle-'));
});
afterAll(() => rm(folder, { recursive: true }));

test('checkBundle accepts a bundle of the workflows', () => {
  expect(checkBundle(inject('workflowBundle'), {})).toBeUndefined();
});

test('checkBundle reports a missing bundle variant for tracing', () => {
  expect(checkBundle(join(folder, 'plain.js'), { traced: true })).toEqual({
    name: 'WORKFLOW_BUNDLE',
    problem: `file ${join(folder, 'plain.traced.js')} does not exist, the variant of the bundle for tracing or encryption`,
    example: 'dist/workflow-bundle.js',
  });
});

test.each<[string, (bundle: string) => string, string | RegExp]>([
  ['is empty', () => '', 'is empty'],
  ['has only blank lines', () => '\n \n', 'is empty'],
  ['was cut off', (bundle) => bundle.slice(0, bundle.length / 4), /is not JavaScript \(.+\)$/],
  ['is a page of HTML', () => '<!doctype html>', /is not JavaScript \(.+\)$/],
  ['is another program', () => 'console.log("hello")', 'is not a bundle of workflows'],
])('checkBundle rejects a bundle that %s', async (what, contentOf, problem) => {
  const file = join(folder, `${what.replaceAll(' ', '-')}.js`);
  await writeFile(file, contentOf(await readFile(inject('workflowBundle'), 'utf8')));
  const text = checkBundle(file, {})!.problem;
  expect(text.startsWith(file)).toBe(true);
  expect(text.slice(file.length + 1)).toMatch(problem);
});

test('checkBundle rejects a folder instead of a bundle', async () => {
  await mkdir(join(folder, 'dist'));
  expect(checkBundle(join(folder, 'dist'), {})!.problem).toBe(`cannot read ${join(folder, 'dist')} (EISDIR)`);
});
