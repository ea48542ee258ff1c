import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_CHILDREN, MAX_TASKS, OPEN_CHILDREN, OPEN_TASKS } from '../../../src/workflows/batch/contract.js';
import { childrenOf, type Range } from '../../../src/workflows/batch/plan.js';

/** How many workflows have tasks of their own, how many have children, and on how many levels. */
function shapeOf(range: Range): { leaves: number; parents: number; levels: number; mostChildren: number } {
  const children = childrenOf(range);
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

describe('how a batch is cut up', () => {
  test.each([
    [0, { leaves: 1, parents: 0, levels: 1, mostChildren: 0 }],
    [1, { leaves: 1, parents: 0, levels: 1, mostChildren: 0 }],
    [1_000, { leaves: 1, parents: 0, levels: 1, mostChildren: 0 }],
    [1_001, { leaves: 2, parents: 1, levels: 2, mostChildren: 2 }],
    [100_000, { leaves: 100, parents: 1, levels: 2, mostChildren: 100 }],
    [1_000_000, { leaves: 1_000, parents: 1, levels: 2, mostChildren: 1_000 }],
    [1_000_001, { leaves: 1_001, parents: 2, levels: 3, mostChildren: 1_000 }],
    [1_000_000_000, { leaves: 1_000_000, parents: 1_001, levels: 3, mostChildren: 1_000 }],
  ])('when there are %i tasks, then the tree is %o', (count, shape) => {
    expect(shapeOf({ first: 0, count })).toEqual(shape);
  });

  test('when there are any number of tasks, then each is in exactly one child, in order, and no child is too many', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.integer({ min: 1, max: 2_000_000_000 }), (first, count) => {
        const children = childrenOf({ first, count });
        if (count <= MAX_TASKS) return children.length === 0;
        let next = first;
        for (const child of children) {
          if (child.first !== next || child.count < 1) return false;
          next += child.count;
        }
        return next === first + count && children.length > 1 && children.length <= MAX_CHILDREN;
      }),
    );
  });

  test('when a tree is at its limits, then what is open at once is far below the 2,000 that the server takes', () => {
    expect(OPEN_TASKS).toBeLessThanOrEqual(200);
    expect(OPEN_CHILDREN).toBeLessThanOrEqual(200);
    // Two levels: the tasks that all open children of a batch of a million may have scheduled.
    expect(OPEN_TASKS * OPEN_CHILDREN).toBeLessThanOrEqual(200);
  });
});
