import { MAX_CHILDREN, MAX_TASKS } from './contract.js';

/** Chunks `first` to `first + count - 1`. */
export interface Range {
  first: number;
  count: number;
}

/**
 * Divides the chunks of a workflow among children. Empty if the workflow can process them itself. Every child except
 * the last has full levels below it: 1,000 chunks, then 1,000 x 1,000, and so on.
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

/** A retry uses new child ids, because the children of a terminated execution may still be running. */
export function childId(parentId: string, n: number, round: number): string {
  return round === 1 || parentId.includes('/') ? `${parentId}/${n}` : `${parentId}/${n}.${round}`;
}

/** Maximum number of attempts to start a child whose id is still in use. The attempts take over twelve minutes. */
export const MAX_CHILD_STARTS = 17;

/** Delay in ms before the next attempt to start a child. */
export function untilNextStart(tries: number): number {
  return Math.min(2 ** tries, 60) * 1000;
}

const POLL_EVERY_MS = 2_000;
const POLL_SHARE = 1 / 25;

/**
 * Delay in ms before the next poll of the progress: two seconds, later 4 % of the running time. A poll writes at most
 * eleven events, so a batch that runs for a day writes about 2,400 events for polls.
 */
export function untilNextPoll(elapsedMs: number): number {
  return Math.max(POLL_EVERY_MS, elapsedMs * POLL_SHARE);
}
