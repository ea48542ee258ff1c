import { expect, test, vi } from 'vitest';
import type { Imports } from '../../../tools/source-build/import-graph.js';
import { testsOfChange } from '../../../tools/project/tests-of-change.js';
import { listTestFiles, needsOf, readTestNeeds, unitTestsOf } from '../../../tools/project/test-tiers.js';
import { projectRoot } from '../../support/processes.js';

/** A test file that itself needs nothing. */
const TEST_FILE = 'test/text/json-limits.test.ts';

/** An import graph from the imports of each file. */
const graph = (files: Record<string, string[]>): Imports =>
  Object.fromEntries(
    Object.entries(files).map(([file, imports]) => [
      file,
      { bytes: 0, imports: imports.map((path) => ({ path, kind: 'import-statement' as const })) },
    ]),
  );

test('a test file needs what its helpers pass to inject(), also in an import cycle', () => {
  const imports = graph({
    [TEST_FILE]: ['test/support/shop/shop.ts'],
    'test/support/shop/shop.ts': ['test/support/database/database.ts'],
    'test/support/database/database.ts': ['test/support/shop/shop.ts'],
  });

  expect([...needsOf(TEST_FILE, imports)].sort()).toEqual(['databaseUrl', 'workflowBundle']);
});

test('a test file needs the programs of the tools that it loads, but nothing because of src', () => {
  const imports = graph({
    [TEST_FILE]: ['src/worker.ts', 'tools/stack/start.ts'],
    'src/worker.ts': ['test/support/database/database.ts'],
    'tools/stack/start.ts': ['tools/servers/programs/temporal-cli.ts'],
  });

  expect([...needsOf(TEST_FILE, imports)].sort()).toEqual(['servers', 'temporalCli']);
});

test('tests of rules are unit tests, and tests with a server are not', () => {
  const needs = readTestNeeds()!;
  const unit = unitTestsOf(needs);

  expect([...needs.keys()]).toEqual(listTestFiles());
  expect(unit).toEqual(
    expect.arrayContaining(['test/workflows/cart/changes.test.ts', 'test/text/json-limits.test.ts']),
  );
  for (const file of [
    'test/tools/servers/postgres.test.ts',
    'test/store/orders.test.ts',
    'test/e2e/stack/start.test.ts',
  ])
    expect(unit).not.toContain(file);
  expect(needs.get('test/workflows/cart/lifetime.test.ts')).toEqual(
    new Set(['timeSkippingServer', 'databaseUrl', 'workflowBundle', 'servers']),
  );
});

test('the needs are unknown if a test file does not compile', () => {
  const print = vi.spyOn(console, 'error').mockReturnValue();

  expect(readTestNeeds(['test/text/json-limits.test.ts', 'test/not-there.test.ts'])).toBeUndefined();
  expect(print).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('test/not-there.test.ts'));
  print.mockRestore();
});

test('a change of a workflow file runs the tests that import the file and the workflow tests of its features', () => {
  const ofCart = testsOfChange(`${projectRoot}src/workflows/cart/workflow.ts`)!;
  const ofSaga = testsOfChange(`${projectRoot}src/workflows/shared/saga.ts`)!;

  expect(ofCart).toContain('test/workflows/cart/lifetime.test.ts');
  expect(ofCart).not.toContain('test/workflows/order/fulfilment.test.ts');
  expect(ofSaga).toEqual(
    expect.arrayContaining(['test/workflows/shared/saga.test.ts', 'test/workflows/order/fulfilment.test.ts']),
  );
});

test('a change of another file runs the tests that import the file', () => {
  expect(testsOfChange(`${projectRoot}test/support/api/schemathesis.ts`)).toEqual([
    'test/e2e/schemathesis/schemathesis.test.ts',
  ]);
  expect(testsOfChange(`${projectRoot}test/workflows/cart/changes.test.ts`)).toBeUndefined();
});
