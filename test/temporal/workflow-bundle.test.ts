import { readFile } from 'node:fs/promises';
import { expect, inject, test } from 'vitest';

/** Measured size: 2.49 MB with all workflows, including the source map. zod alone would add 1.1 MB. */
const SIZE_BUDGET_BYTES = 2_550_000;

const bundle = await readFile(inject('workflowBundle'), 'utf8');
/** The paths of the modules in the bundle, as webpack writes them. */
const modules = [...bundle.matchAll(/!\*\*\* (\S+) \*\*\*!/g)].map(([, path]) => path!);

test('the workflow bundle contains the workflow code', () => {
  expect(modules.filter((path) => path.startsWith('./src/'))).toEqual(
    expect.arrayContaining([
      './src/workflows/index.ts',
      './src/workflows/order/contract.ts',
      './src/workflows/order/workflow.ts',
      './src/workflows/shared/saga.ts',
    ]),
  );
});

test('the workflow bundle contains no code of the shop other than workflow code', () => {
  expect(modules.filter((path) => path.startsWith('./src/') && !path.startsWith('./src/workflows/'))).toEqual([
    './src/async/concurrency.ts',
    './src/failures/rejections.ts',
    './src/temporal/payloads/bounded-failure-converter.ts',
    './src/temporal/payloads/payload-converter.ts',
    './src/temporal/payloads/unreadable-value.ts',
    './src/temporal/payloads/workflow-payload-converter.ts',
    './src/text/json-limits.ts',
    './src/text/utc-minute.ts',
    './src/text/well-formed-text.ts',
  ]);
});

test('the workflow bundle contains no library other than the SDK', () => {
  const libraries = modules.flatMap((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []);
  expect([...new Set(libraries)].sort()).toEqual([
    '@temporalio/common',
    '@temporalio/workflow',
    'long',
    'ms',
    'nexus-rpc',
  ]);
});

test('the workflow bundle does not use the global Temporal, whose clock is not deterministic in the sandbox', () => {
  expect(bundle.match(/\bTemporal\.(?:Now|Instant|Duration|Plain\w+|Zoned\w+)/g)).toBeNull();
});

test('the workflow bundle does not exceed its size budget', () => {
  expect(Buffer.byteLength(bundle)).toBeLessThan(SIZE_BUDGET_BYTES);
});
