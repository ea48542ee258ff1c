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
