import type { z } from 'zod';
import { bounded } from '../temporal/payloads/text.js';

/** One problem of an input: where (a JSON pointer, RFC 6901; empty for the whole input) and what. */
export interface InputProblem {
  pointer: string;
  detail: string;
}

/** Problems beyond these are only counted, and longer texts cut: a list of them has to fit into a failure. */
const MAX_PROBLEMS = 100;
const MAX_POINTER = 200;
const MAX_DETAIL = 500;

/**
 * The problems of a failed parse, one for each wrong field; a field that should not be there is named itself. At most
 * 100 of them, and one that says how many more there are.
 */
export function problemsOf(issues: readonly z.core.$ZodIssue[]): InputProblem[] {
  const problems = allOf(issues);
  const left = problems.length - MAX_PROBLEMS;
  if (left <= 0) return problems;
  return [...problems.slice(0, MAX_PROBLEMS), { pointer: '', detail: `and ${left} more problems` }];
}

function allOf(issues: readonly z.core.$ZodIssue[]): InputProblem[] {
  return issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ pointer: pointerTo([...issue.path, key]), detail: 'is not a known field' }))
      : [{ pointer: pointerTo(issue.path), detail: bounded(issue.message, MAX_DETAIL) }],
  );
}

/** A JSON pointer (RFC 6901), cut when it is too long to show. */
export function pointerTo(path: readonly PropertyKey[]): string {
  const pointer = path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return bounded(pointer, MAX_POINTER);
}
