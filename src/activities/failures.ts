import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import { UNREADABLE_VALUE, UNREADABLE_VALUE_DETAIL } from '../temporal/payloads/unreadable-value.js';
import { toInputProblems, type InputProblem } from '../schemas/shared/input-problems.js';

/** Retry delay while our configuration is wrong, which only an operator can fix. */
const MISCONFIGURED_RETRY_MS = 5 * 60_000;

/**
 * Parses the input of a workflow. Runs as a workflow's first step, because clients can start workflows without the HTTP
 * API.
 *
 * @throws non-retryable `InvalidInput` with the list of problems as its first detail.
 */
export function parseInput<T extends z.ZodType>(schema: T, input: unknown): z.infer<T> {
  if (input === UNREADABLE_VALUE) throw invalidInputFailure([{ pointer: '', detail: UNREADABLE_VALUE_DETAIL }]);
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  throw invalidInputFailure(toInputProblems(parsed.error.issues));
}

/** The failure that rejects a workflow's input. */
export function invalidInputFailure(problems: InputProblem[]): ApplicationFailure {
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
export function assertWorkflowId(pointer: string, expectedId: string, workflowId: string): void {
  if (workflowId === expectedId) return;
  const detail = `requires the workflow id "${expectedId}", but the workflow id is "${workflowId}"`;
  throw invalidInputFailure([{ pointer, detail }]);
}

/** A rejection by a business rule. The category BENIGN keeps it out of error logs and metrics. */
export function rejectionFailure(type: string, message: string, ...details: unknown[]): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: true, details, category: 'BENIGN' });
}

/** A retryable failure. Temporal retries after the delay if there is one, otherwise by the retry policy. */
export function unavailableFailure(system: string, message: string, delayMs?: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Unavailable`,
    message,
    ...(delayMs !== undefined && { nextRetryDelay: delayMs }),
  });
}

/** A failure that is retried slowly, because an operator must fix our configuration first. */
export function misconfiguredFailure(system: string, message: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: `${system}Misconfigured`,
    message,
    nextRetryDelay: MISCONFIGURED_RETRY_MS,
  });
}
