import type { z } from 'zod';

/** One problem of an input: where (a JSON pointer, RFC 6901; empty for the whole input) and what. */
export interface InputProblem {
  pointer: string;
  detail: string;
}

/** The problems of a failed parse, one for each wrong field; a field that should not be there is named itself. */
export function problemsOf(issues: readonly z.core.$ZodIssue[]): InputProblem[] {
  return issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map((key) => ({ pointer: pointerTo([...issue.path, key]), detail: 'is not a known field' }))
      : [{ pointer: pointerTo(issue.path), detail: issue.message }],
  );
}

function pointerTo(path: readonly PropertyKey[]): string {
  return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
