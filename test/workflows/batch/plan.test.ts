import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MAX_CHILDREN, MAX_TASKS, OPEN_CHILDREN, OPEN_TASKS } from '../../../src/workflows/batch/contract.js';
import {
  childId,
  childrenOf,
  MAX_CHILD_STARTS,
  untilNextPoll,
  untilNextStart,
  type Range,
} from '../../../src/workflows/batch/plan.js';

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

  test.each<[Range, Range[]]>([
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
  ])('when the range is %o, then the children have %o', (range, children) => {
    expect(childrenOf(range)).toEqual(children);
  });

  test('when a tree is at its limits, then what is open at once is far below the 2,000 that the server takes', () => {
    expect(OPEN_TASKS).toBeLessThanOrEqual(200);
    expect(OPEN_CHILDREN).toBeLessThanOrEqual(200);
    // Two levels: the tasks that all open children of a batch of a million may have scheduled.
    expect(OPEN_TASKS * OPEN_CHILDREN).toBeLessThanOrEqual(200);
  });
});

describe('the children of a batch', () => {
  test.each([
    ['batch:b', 3, 1, 'batch:b/3'],
    ['batch:b', 3, 2, 'batch:b/3.2'],
    // Its parent has an id of this round already.
    ['batch:b/3.2', 0, 2, 'batch:b/3.2/0'],
    ['batch:b/3', 0, 1, 'batch:b/3/0'],
  ])('when the parent is %s, then child %i of round %i is %s', (parentId, n, round, id) => {
    expect(childId(parentId, n, round)).toBe(id);
  });

  test('when the id of one is still taken, then it is waited for ever longer, up to a minute and for over twelve in all', () => {
    const waits = Array.from({ length: MAX_CHILD_STARTS - 1 }, (_, n) => untilNextStart(n + 1));

    expect(waits.slice(0, 7)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    expect(waits.at(-1)).toBe(60_000);
    expect(waits.reduce((sum, wait) => sum + wait)).toBe(722_000);
  });
});

describe('polls of the progress of a batch', () => {
  test.each([
    [0, 2_000],
    [50_000, 2_000],
    [51_000, 2_040],
    [3_600_000, 144_000],
  ])('a batch that has worked for %i ms waits %i ms for its next poll', (elapsedMs, waitMs) => {
    expect(untilNextPoll(elapsedMs)).toBe(waitMs);
  });

  test('a batch that works for a day polls about 215 times', () => {
    let polls = 0;
    for (let elapsedMs = 0; elapsedMs < 24 * 3_600_000; elapsedMs += untilNextPoll(elapsedMs)) polls += 1;

    expect(polls).toBeGreaterThan(205);
    expect(polls).toBeLessThan(225);
  });
});
