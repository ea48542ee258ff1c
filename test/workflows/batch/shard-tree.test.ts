import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  childStartDelayMs,
  childWorkflowId,
  CONCURRENT_CHILDREN,
  CONCURRENT_CHUNKS,
  divideAmongChildren,
  MAX_CHILD_STARTS,
  MAX_CHILDREN,
  MAX_CHUNKS,
  type ChunkRange,
} from '../../../src/workflows/batch/shard-tree.js';

/**
 * Returns the numbers of leaves, parents and levels in the tree that runs a chunk range, and the largest number of
 * children of a parent.
 */
function shapeOf(range: ChunkRange): { leaves: number; parents: number; levels: number; mostChildren: number } {
  const children = divideAmongChildren(range);
  if (children.length === 0) return { leaves: 1, parents: 0, levels: 1, mostChildren: 0 };
  // All children but the last have the same shape.
  const [first, last] = [shapeOf(children[0]!), shapeOf(children.at(-1)!)];
  return {
    leaves: first.leaves * (children.length - 1) + last.leaves,
    parents: 1 + first.parents * (children.length - 1) + last.parents,
    levels: 1 + first.levels,
    mostChildren: Math.max(children.length, first.mostChildren, last.mostChildren),
  };
}

describe('divideAmongChildren', () => {
  test.each([
    [0, { leaves: 1, parents: 0, levels: 1, mostChildren: 0 }],
    [1, { leaves: 1, parents: 0, levels: 1, mostChildren: 0 }],
    [1_000, { leaves: 1, parents: 0, levels: 1, mostChildren: 0 }],
    [1_001, { leaves: 2, parents: 1, levels: 2, mostChildren: 2 }],
    [100_000, { leaves: 100, parents: 1, levels: 2, mostChildren: 100 }],
    [1_000_000, { leaves: 1_000, parents: 1, levels: 2, mostChildren: 1_000 }],
    [1_000_001, { leaves: 1_001, parents: 2, levels: 3, mostChildren: 1_000 }],
    [1_000_000_000, { leaves: 1_000_000, parents: 1_001, levels: 3, mostChildren: 1_000 }],
  ])('splits a batch of %i chunks into the tree %o', (count, shape) => {
    expect(shapeOf({ first: 0, count })).toEqual(shape);
  });

  test('assigns every chunk to exactly one child, in order, and creates at most MAX_CHILDREN children', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.integer({ min: 1, max: 2_000_000_000 }), (first, count) => {
        const children = divideAmongChildren({ first, count });
        if (count <= MAX_CHUNKS) return children.length === 0;
        let next = first;
        for (const child of children) {
          if (child.first !== next || child.count < 1) return false;
          next += child.count;
        }
        return next === first + count && children.length > 1 && children.length <= MAX_CHILDREN;
      }),
    );
  });

  test.each<[ChunkRange, ChunkRange[]]>([
    [{ first: 5, count: 1_000 }, []],
    [
      { first: 5, count: 1_001 },
      [
        { first: 5, count: 1_000 },
        { first: 1_005, count: 1 },
      ],
    ],
    [
      { first: 7, count: 1_000_001 },
      [
        { first: 7, count: 1_000_000 },
        { first: 1_000_007, count: 1 },
      ],
    ],
  ])('splits the range %o into the children %o', (range, children) => {
    expect(divideAmongChildren(range)).toEqual(children);
  });

  test("a workflow of a batch stays far below the server's limit of 2,000 open activities or children", () => {
    expect(CONCURRENT_CHUNKS).toBeLessThanOrEqual(200);
    expect(CONCURRENT_CHILDREN).toBeLessThanOrEqual(200);
    // In a tree of two levels (up to a million chunks), at most this many activities are open at the same time.
    expect(CONCURRENT_CHUNKS * CONCURRENT_CHILDREN).toBeLessThanOrEqual(200);
  });
});

describe('the child ids of a batch', () => {
  test.each([
    ['batch:b', 3, 1, 'batch:b/3'],
    ['batch:b', 3, 2, 'batch:b/3.2'],
    // The parent's id already contains attempt 2.
    ['batch:b/3.2', 0, 2, 'batch:b/3.2/0'],
    ['batch:b/3', 0, 1, 'batch:b/3/0'],
  ])('parent %s gives its child %i in attempt %i the workflow id %s', (parentId, n, attempt, id) => {
    expect(childWorkflowId(parentId, n, attempt)).toBe(id);
  });

  test('a batch retries the start of a child whose id is taken, with delays of up to a minute, for twelve minutes', () => {
    const waits = Array.from({ length: MAX_CHILD_STARTS - 1 }, (_, n) => childStartDelayMs(n + 1));

    expect(waits.slice(0, 7)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(waits.at(-1)).toBe(60_000);
    expect(waits.reduce((sum, wait) => sum + wait)).toBe(722_000);
  });
});
