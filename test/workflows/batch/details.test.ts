import { describe, expect, test } from 'vitest';
import type { BatchView } from '../../../src/schemas/batch.js';
import { describeBatch } from '../../../src/workflows/batch/details.js';

const makeView = (overrides: Partial<BatchView> = {}): BatchView => ({
  batchId: 'b',
  status: 'running',
  operation: 'restock',
  itemsPerChunk: 10,
  chunks: 1,
  attempt: 1,
  total: 8,
  succeeded: 3,
  failed: 2,
  asOf: '2030-01-01T00:00:00.000Z',
  ...overrides,
});

describe('describeBatch', () => {
  test.each<[what: string, Partial<BatchView>, lines: string[]]>([
    [
      'is running',
      {},
      [
        '**Needs attention:** 2 items failed',
        '',
        '**running** restock',
        '',
        '- 5 of 8 items (62 %)',
        '- 3 succeeded, 2 failed',
      ],
    ],
    [
      'has no items',
      { total: 0, succeeded: 0, failed: 0 },
      ['**running** restock', '', '- 0 of 0 items (0 %)', '- 0 succeeded, 0 failed'],
    ],
    [
      'has a known rate',
      { itemsPerSecond: 2.5, secondsLeft: 2 },
      [
        '**Needs attention:** 2 items failed',
        '',
        '**running** restock',
        '',
        '- 5 of 8 items (62 %), 2.5 a second, 2 s left',
        '- 3 succeeded, 2 failed',
      ],
    ],
    [
      'is in its first retry',
      { status: 'paused', attempt: 2 },
      [
        '**Needs attention:** 2 items failed',
        '',
        '**paused** restock',
        '',
        '- 5 of 8 items (62 %)',
        '- 3 succeeded, 2 failed',
        '- retry 1',
      ],
    ],
  ])('describeBatch shows the progress of a batch that %s', (_description, view, lines) => {
    expect(describeBatch(makeView(view)).split('\n')).toEqual(lines);
  });
});
