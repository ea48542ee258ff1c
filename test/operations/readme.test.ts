import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, onTestFinished, test } from 'vitest';
import { checkout } from '../../tools/stack/settings.js';
import type { StoreOperation } from '../../src/batch-operations/operation.js';
import { openStore } from '../../src/store/index.js';
import { stage } from '../support/batches.js';
import { createDatabase } from '../support/database.js';
import { aProduct } from '../support/shop.js';

/** Writes the README's example operation into a temporary file and returns its path. */
async function writeExample(): Promise<string> {
  const readme = await readFile(join(checkout, 'README.md'), 'utf8');
  const [, code] = /```ts\n(\/\/ src\/batch-operations\/discontinue\.ts\n[\s\S]*?)```/.exec(readme) ?? [];
  const data = join(checkout, '.data');
  await mkdir(data, { recursive: true });
  const folder = await mkdtemp(join(data, 'readme-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'discontinue.ts');
  await writeFile(file, code!.replaceAll(`'../`, `'../../src/`).replaceAll(`'./`, `'../../src/batch-operations/`));
  return file;
}

test("compiles the README's example operation, which behaves as the README says", async () => {
  const file = await writeExample();
  const { config } = ts.readConfigFile(join(checkout, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, checkout);
  const program = ts.createProgram([file], { ...options, noEmit: true });
  const problems = ts
    .getPreEmitDiagnostics(program, program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  expect(problems).toEqual([]);

  const { discontinue } = (await import(file)) as { discontinue: StoreOperation };
  const database = await createDatabase();
  const store = openStore({ databaseUrl: database.url, maxConnections: 2, onIdleError: () => undefined });
  const { sku } = await aProduct(store, { available: 4 });
  const batchId = await stage(store, { operation: discontinue.name, items: [{ sku }, { sku: 'NOT-THERE' }] });
  const { roundId, number } = (await store.openRound(batchId, 'run'))!;
  await store.applyTask({ roundId, task: 0 }, (tx, items) =>
    discontinue.apply(tx, items as never, { batchId, number }),
  );

  expect((await store.findProducts([sku])).get(sku)?.available).toBe(0);
  expect(await store.listFailures(batchId, { limit: 9 })).toMatchObject([{ line: 2, reason: { type: 'UnknownSku' } }]);
  await store.close();
  await database.drop();
});
