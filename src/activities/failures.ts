import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import { UNREADABLE, UNREADABLE_DETAIL } from '../temporal/payloads/unreadable.js';
import { problemsOf, type InputProblem } from '../schemas/problems-of.js';

/**
 * Parses what a workflow was started with. A workflow can be started past the HTTP API, so this is its first step.
 *
 * @throws non-retryable `InvalidInput` whose first detail is the list of problems.
 */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.infer<T> {
  if (input === UNREADABLE) throw invalidInput([{ pointer: '', detail: UNREADABLE_DETAIL }]);
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalidInput(problemsOf(parsed.error.issues));
}

/** The failure that ends a workflow at once because of its input. */
export function invalidInput(problems: InputProblem[]): ApplicationFailure {
  const list = problems.map(({ pointer, detail }) => `${pointer || '(input)'}: ${detail}`).join('; ');
  return ApplicationFailure.create({
    type: 'InvalidInput',
    message: `invalid input: ${list}`,
    nonRetryable: true,
    details: [problems],
    category: 'BENIGN',
  });
}

/** Only under this workflow id is it found by whoever comes later. @throws `InvalidInput` naming the field with the id. */
export function assertWorkflowId(pointer: string, wanted: string, workflowId: string): void {
  if (workflowId === wanted) return;
  const detail = `belongs to the workflow id "${wanted}", but this one is "${workflowId}"`;
  throw invalidInput([{ pointer, detail }]);
}

/** A business rule said no: an expected answer, kept out of error logs and metrics. */
export function refused(type: string, message: string, ...details: unknown[]): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details, category: 'BENIGN' });
}
