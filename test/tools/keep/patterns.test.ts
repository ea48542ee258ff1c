import { expect, test } from 'vitest';
import { readCommandLine } from '../../../tools/keep/command-line.js';
import { isOwnedBy } from '../../../tools/keep/patterns.js';

test.each([
  'src/workflows/batch/workflow.ts',
  'src/api/batches/routes.ts',
  'src/batch-operations/index.ts',
  'src/api/bulk/batches.ts',
  'test/support/api/batch-api.ts',
  'test/replay/histories/0001/batch-completed.json',
  'docs/patterns/batch.md',
  'tools/new/templates/operation/src/batch-operations/sample-case.ts',
])('%s belongs to the batch', (file) => {
  expect(isOwnedBy(file, 'batch')).toBe(true);
});

test.each(['src/workflows/order/workflow.ts', 'src/store/migrations/0003-batches.ts', 'src/store/tables.ts'])(
  '%s does not belong to the batch',
  (file) => {
    expect(isOwnedBy(file, 'batch')).toBe(false);
  },
);

test('removes the patterns that the list does not contain', () => {
  expect(readCommandLine(['order,approval'])).toEqual(['cart', 'batch']);
  expect(readCommandLine(['order', 'approval', 'cart'])).toEqual(['batch']);
  expect(readCommandLine(['--help'])).toBe('help');
});

test.each([
  ['no pattern', [], 'expected the patterns to keep'],
  ['an unknown pattern', ['order,approval,saga'], 'unknown pattern "saga": must be order, cart, batch, approval'],
  ['a list without the order', ['approval,cart'], 'cannot remove the pattern "order"'],
  ['a list without the approval', ['order'], 'cannot remove the pattern "approval"'],
  ['all patterns', ['order,cart,batch,approval'], 'nothing to remove'],
])('rejects %s', (_what, args, problem) => {
  expect(() => readCommandLine(args)).toThrow(problem);
});
