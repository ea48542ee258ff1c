import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import { UNREADABLE_VALUE, UNREADABLE_VALUE_DETAIL } from '../temporal/payloads/unreadable-value.js';
import { toInputProblems, type InputProblem } from '../schemas/shared/input-problems.js';

/**
 * Parses the input of a workflow. Runs as a workflow's first step, because clients can start workflows without the HTTP
 * API.
 *
 * @throws non-retryable `InvalidInput` with the list of problems as its first detail.
 */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.infer<T> {
  if (input === UNREADABLE_VALUE) throw invalidInput([{ pointer: '', detail: UNREADABLE_VALUE_DETAIL }]);
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalidInput(toInputProblems(parsed.error.issues));
}

/** The failure that rejects a workflow's input. */
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

/**
 * Checks the workflow id, because signals, updates and queries find the workflow only under this id.
 *
 * @throws `InvalidInput` that names the field with the id.
 */
export function assertWorkflowId(pointer: string, wanted: string, workflowId: string): void {
  if (workflowId === wanted) return;
  const detail = `belongs to the workflow id "${wanted}", but this one is "${workflowId}"`;
  throw invalidInput([{ pointer, detail }]);
}

/** A rejection by a business rule. The category BENIGN keeps it out of error logs and metrics. */
export function rejectionFailure(type: string, message: string, ...details: unknown[]): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details, category: 'BENIGN' });
}
