import type { z } from 'zod';
import { bounded } from '../temporal/payloads/text.js';

/** A problem of an input: its location (a JSON pointer, RFC 6901; empty for the whole input) and a description. */
export interface InputProblem {
  pointer: string;
  detail: string;
}

/** Limits the number of problems and the length of texts, because the list must fit into a failure. */
const MAX_PROBLEMS = 100;
const MAX_POINTER = 200;
const MAX_DETAIL = 500;

/**
 * The problems of a failed parse, one per invalid or unknown field. At most 100, plus an entry with the number of
 * further problems.
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

/** A JSON pointer (RFC 6901), truncated when it is too long. */
export function pointerTo(path: readonly PropertyKey[]): string {
  const pointer = path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
  return bounded(pointer, MAX_POINTER);
}
