import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import { rejectionFailure } from '../failures/rejections.js';
import { UNREADABLE_VALUE, UNREADABLE_VALUE_DETAIL } from '../temporal/payloads/unreadable-value.js';
import { toInputProblems, type InputProblem } from '../schemas/shared/input-problems.js';

/** Retry delay while our configuration is wrong. Only an operator can fix the configuration. */
const MISCONFIGURED_RETRY_MS = 5 * 60_000;

/**
 * Parses the input of a workflow. Every workflow does this first, because clients can start workflows without the HTTP
 * API.
 *
 * @throws `InvalidInput`, which is non-retryable. Its first detail is the list of problems.
 */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.infer<T> {
  if (input === UNREADABLE_VALUE) throw invalidInputFailure([{ pointer: '', detail: UNREADABLE_VALUE_DETAIL }]);
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalidInputFailure(toInputProblems(parsed.error.issues));
}

/** Creates the failure that rejects a workflow's input. */
export function invalidInputFailure(problems: InputProblem[]): ApplicationFailure {
  const list = problems.map(({ pointer, detail }) => `${pointer || '(input)'}: ${detail}`).join('; ');
  return rejectionFailure('InvalidInput', `invalid input: ${list}`, problems);
}

/**
 * Checks that the workflow has the expected id, because signals, updates and queries are sent to that id.
 *
 * @throws `InvalidInput` with the pointer of the id field.
 */
export function assertWorkflowId(pointer: string, expectedId: string, workflowId: string): void {
  if (workflowId === expectedId) return;
  const detail = `requires the workflow id "${expectedId}", but the workflow id is "${workflowId}"`;
  throw invalidInputFailure([{ pointer, detail }]);
}

/** Creates a retryable failure. Without `delayMs`, the retry policy determines the delay. */
export function unavailableFailure(system: string, message: string, delayMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Unavailable`,
    message,
    ...(delayMs !== undefined && { nextRetryDelay: delayMs }),
  });
}

/** Creates a failure that is retried slowly, because an operator must fix our configuration first. */
export function misconfiguredFailure(system: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Misconfigured`,
    message,
    nextRetryDelay: MISCONFIGURED_RETRY_MS,
  });
}
