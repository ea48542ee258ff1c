import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findNamedParts } from '../../../tools/keep/typescript/named-parts.js';
import { applyRemovals } from '../../../tools/keep/typescript/removal.js';
import { repairSources } from '../../../tools/keep/typescript/repair.js';
import { Sources } from '../../../tools/keep/typescript/sources.js';

const COMPILER_OPTIONS = {
  target: 'es2022',
  module: 'nodenext',
  moduleResolution: 'nodenext',
  strict: true,
  noEmit: true,
  types: [],
};

let project: string;

beforeEach(async () => {
  project = await mkdtemp(join(tmpdir(), 'keep-'));
});
afterEach(async () => {
  await rm(project, { recursive: true });
});

/** Removes the batch from files, and returns their text on one line. */
async function removeBatch(files: Record<string, string>): Promise<Record<string, string>> {
  const all = {
    'package.json': '{"type":"module"}',
    'tsconfig.json': JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ['**/*.ts'] }),
    ...files,
  };
  for (const [file, text] of Object.entries(all)) {
    await mkdir(dirname(join(project, file)), { recursive: true });
    await writeFile(join(project, file), text);
  }
  const sources = new Sources(project);
  for (const file of sources.files) {
    const parts = findNamedParts(sources.program.getSourceFile(file)!, ['batch', 'batches']);
    if (parts.length) sources.change(file, applyRemovals(sources.text(file), parts));
  }
  repairSources(sources, sources.files, () => undefined);
  const read = (file: string) => sources.text(join(project, file)).replaceAll(/\s+/g, ' ').trim();
  return Object.fromEntries(Object.keys(files).map((file) => [file, read(file)]));
}

test('removes the import of a deleted file, what it provides, and what only this part used', async () => {
  const result = await removeBatch({
    'orders.ts': 'export const createOrders = () => 1; export const LIMIT = 3;',
    'app.ts': `import { createOrders, LIMIT } from './orders.js';
      import { createWork } from './batches.js';
      export interface App { orders: number; work: ReturnType<typeof createWork> }
      export function createApp(): App {
        const work = createWork(LIMIT);
        return { orders: createOrders(), work };
      }`,
  });

  expect(result['app.ts']).toBe(
    `import { createOrders, } from './orders.js'; export interface App { orders: number; } ` +
      `export function createApp(): App { return { orders: createOrders(), }; }`,
  );
});

test('removes entries of lists, members of unions and cases with the name', async () => {
  const result = await removeBatch({
    'kinds.ts': `export type Kind = 'order' | 'batch';
      export const QUEUES = ['order', 'batch', 'batchShard'];
      export const LISTS = [{ name: 'order' }, { name: 'batch' }];
      export function label(kind: Kind): string {
        switch (kind) { case 'order': return 'o'; case 'batch': return 'b'; }
      }`,
  });

  expect(result['kinds.ts']).toBe(
    `export type Kind = 'order' ; export const QUEUES = ['order',]; export const LISTS = [{ name: 'order' },]; ` +
      `export function label(kind: Kind): string { switch (kind) { case 'order': return 'o'; } }`,
  );
});

test('removes a test that uses the pattern, and keeps the other tests', async () => {
  const result = await removeBatch({
    'kinds.test.ts': `declare function test(title: string, run: () => void): void;
      declare function get(path: string): void;
      test('reads orders', () => { get('/v1/orders'); });
      test('reads batches', () => { const path = '/v1/batches'; get(path); });`,
  });

  expect(result['kinds.test.ts']).toContain('reads orders');
  expect(result['kinds.test.ts']).not.toContain('reads batches');
});

test('removes the name of a missing method from Pick, and keeps the property', async () => {
  const result = await removeBatch({
    'source.ts': `interface Store { countOrders: () => number; readBatchStats: () => number }
      export interface Context { store: Pick<Store, 'countOrders' | 'readBatchStats'> }`,
  });

  expect(result['source.ts']).toContain(`store: Pick<Store, 'countOrders' >`);
});

test('removes the row of a table with the name of the pattern', async () => {
  const result = await removeBatch({
    'rows.ts': `export const ROWS: [string, string][] = [['an order', '/v1/orders'], ['an upload', '/v1/batches']];`,
  });

  expect(result['rows.ts']).toBe(`export const ROWS: [string, string][] = [['an order', '/v1/orders'],];`);
});
