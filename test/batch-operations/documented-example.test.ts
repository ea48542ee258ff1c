import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import ts from 'typescript';
import { expect, onTestFinished, test } from 'vitest';
import type { StoreOperation } from '../../src/batch-operations/operation.js';
import { openStore } from '../../src/store/index.js';
import { readFileBlock } from '../support/docs/page-steps.js';
import { projectRoot } from '../support/processes.js';
import { stageTestBatch } from '../support/shop/batches.js';
import { createDatabase } from '../support/database/database.js';
import { addProduct } from '../support/shop/shop.js';

const example = await readFileBlock('docs/patterns/batch.md', 'src/batch-operations/discontinue.ts');
const title = 'the documented example of an operation compiles and behaves as documented';

/** Writes the example operation to a temporary file. @returns the path of the file. */
async function writeExample(code: string): Promise<string> {
  const data = join(projectRoot, '.data');
  await mkdir(data, { recursive: true });
  const folder = await mkdtemp(join(data, 'example-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const file = join(folder, 'discontinue.ts');
  await writeFile(file, code.replaceAll(`'../`, `'../../src/`).replaceAll(`'./`, `'../../src/batch-operations/`));
  return file;
}

if ('missing' in example) test.skip(`${title} (skipped: ${example.missing})`, () => undefined);
else test(title, () => checkExample(example.code));

async function checkExample(code: string): Promise<void> {
  const file = await writeExample(code);
  const { config } = ts.readConfigFile(join(projectRoot, 'tsconfig.json'), (path) => ts.sys.readFile(path));
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, projectRoot);
  const program = ts.createProgram([file], { ...options, noEmit: true });
  const problems = ts
    .getPreEmitDiagnostics(program, program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
  expect(problems).toEqual([]);

  const { discontinue } = (await import(file)) as { discontinue: StoreOperation };
  const database = await createDatabase();
  const store = openStore({ databaseUrl: database.url, maxConnections: 2, onIdleError: () => undefined });
  const { sku } = await addProduct(store, { available: 4 });
  const batchId = await stageTestBatch(store, { operation: discontinue.name, items: [{ sku }, { sku: 'NOT-THERE' }] });
  const { attemptId, batchNumber } = (await store.openAttempt(batchId, 'run'))!;
  await store.applyChunk({ attemptId, chunkIndex: 0 }, (tx, items) =>
    discontinue.apply(tx, items as never, { batchId, batchNumber }),
  );

  expect((await store.findProducts([sku])).get(sku)?.available).toBe(0);
  expect(await store.listBatchFailures(batchId, { limit: 9 })).toMatchObject([
    { line: 2, reason: { type: 'UnknownSku' } },
  ]);
  await store.close();
  await database.drop();
}
