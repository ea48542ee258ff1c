import type { z } from 'zod';
import { truncateText } from '../../text/well-formed-text.js';

/** A problem of an input. `pointer` is a JSON pointer (RFC 6901) to its location, and is empty for the whole input. */
export interface InputProblem {
  pointer: string;
  detail: string;
}

/** The limits for the number of problems and for their texts, because the list must fit into a failure. */
const MAX_PROBLEMS = 100;
const MAX_POINTER_LENGTH = 200;
const MAX_DETAIL_LENGTH = 500;

/**
 * Returns the problems of a failed parse, one per invalid or unknown field. Returns at most 100 problems, plus an entry
 * with the number of further problems.
 */
export function toInputProblems(issues: readonly z.core.$ZodIssue[]): InputProblem[] {
  const problems = flattenIssues(issues);
  const left = problems.length - MAX_PROBLEMS;
  if (left <= 0) return problems;
  return [...problems.slice(0, MAX_PROBLEMS), { pointer: '', detail: `and ${left} more problems` }];
}

function flattenIssues(issues: readonly z.core.$ZodIssue[]): InputProblem[] {
  return issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ pointer: toJsonPointer([...issue.path, key]), detail: 'is not a known field' }))
      : [{ pointer: toJsonPointer(issue.path), detail: truncateText(issue.message, MAX_DETAIL_LENGTH) }],
  );
}

/** Returns a JSON pointer (RFC 6901), truncated when it is too long. */
export function toJsonPointer(path: readonly PropertyKey[]): string {
  const pointer = path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return truncateText(pointer, MAX_POINTER_LENGTH);
}
