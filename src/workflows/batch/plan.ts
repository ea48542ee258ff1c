import { MAX_CHILDREN, MAX_TASKS } from './contract.js';

/** Tasks `first` to `first + count - 1`. */
export interface Range {
  first: number;
  count: number;
}

/**
 * How the children of a workflow share its tasks; none when it can do them itself. A child gets so many that its own
 * children, and theirs, are full: 1,000, then 1,000 x 1,000, and so on. The last child has what is left.
 */
export function childrenOf({ first, count }: Range): Range[] {
  if (count <= MAX_TASKS) return [];
  let size = MAX_TASKS;
  while (Math.ceil(count / size) > MAX_CHILDREN) size *= MAX_CHILDREN;
  return Array.from({ length: Math.ceil(count / size) }, (_, n) => ({
    first: first + n * size,
    count: Math.min(size, count - n * size),
  }));
}

/** A retry gives its children ids of their own: those of a terminated run may still be about to end. */
export function childId(parentId: string, n: number, round: number): string {
  return round === 1 || parentId.includes('/') ? `${parentId}/${n}` : `${parentId}/${n}.${round}`;
}

/** How often a child is started whose id is still taken: over twelve minutes. */
export const MAX_CHILD_STARTS = 17;

/** How long it is waited, in ms, after so many starts. */
export function untilNextStart(tries: number): number {
  return Math.min(2 ** tries, 60) * 1000;
}

const POLL_EVERY_MS = 2_000;
const POLL_SHARE = 1 / 25;

/**
 * How long a batch waits, in ms, before the next poll of its progress: two seconds, then 4 % of its running time. A poll
 * writes at most eleven events, so a batch that runs for a day writes about 2,400 for its polls.
 */
export function untilNextPoll(elapsedMs: number): number {
  return Math.max(POLL_EVERY_MS, elapsedMs * POLL_SHARE);
}
