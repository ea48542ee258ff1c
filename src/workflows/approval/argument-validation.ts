import type { Approver, Stage } from '../../schemas/approval.js';
import type { Reason } from '../../schemas/shared/reason.js';
import { truncateText } from '../../text/well-formed-text.js';
import { isCallerId, isText } from '../shared/arguments.js';

/** These rules repeat the rules in `schemas/`, which workflow code cannot import at run time. A test compares both. */
const MAX_COMMENT_LENGTH = 1_000;
const VIA_VALUES: readonly unknown[] = ['api', 'link', 'webhook', 'slack', 'cli'];
const DECISION_FIELDS = ['approver', 'decision', 'comment', 'via', 'stage'];

/** Validates a raw decision. @returns the problem, or undefined when the decision is valid. */
export function validateDecision(value: unknown): Reason | undefined {
  const problem = decisionProblemOf(value);
  return problem === undefined ? undefined : { type: 'InvalidInput', message: problem };
}

function decisionProblemOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return 'the argument must be {"approver","decision":"approve"|"reject","comment"?}';
  }
  const { approver, decision, comment, via, stage } = value as Record<string, unknown>;
  // Omits the unknown field names, because they can be as long as a payload and the trail stores this message.
  if (Object.keys(value).some((key) => !DECISION_FIELDS.includes(key)))
    return `only ${DECISION_FIELDS.join(', ')} are known fields`;
  if (!isCallerId(approver)) return 'approver must be an id';
  if (decision !== 'approve' && decision !== 'reject') return 'decision must be "approve" or "reject"';
  if (comment !== undefined && !isText(comment, MAX_COMMENT_LENGTH)) {
    return `comment must have at most ${MAX_COMMENT_LENGTH} UTF-16 code units, without NUL and lone surrogates`;
  }
  if (via !== undefined && !VIA_VALUES.includes(via)) return `via must be one of ${VIA_VALUES.join(', ')}`;
  if (stage !== undefined && !isStageNumber(stage)) return 'stage must be an integer of at least 1';
  return undefined;
}

const isStageNumber = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 1;

/** The longest stage timeout that the schema accepts. */
const MAX_TIMEOUT_SECONDS = 366 * 24 * 60 * 60;

/**
 * Reads the stages from the raw input, so that the view shows them before the input is parsed.
 *
 * @returns an empty list if the stages are invalid.
 */
export function readStages(input: unknown): readonly Stage[] {
  const stages = (input as { stages?: unknown } | null | undefined)?.stages;
  return Array.isArray(stages) && stages.every(isStage) ? stages : [];
}

function isStage(value: unknown): value is Stage {
  const { timeoutSeconds, approvers } = (value ?? {}) as Record<string, unknown>;
  const isTime = typeof timeoutSeconds === 'number' && timeoutSeconds > 0 && timeoutSeconds <= MAX_TIMEOUT_SECONDS;
  return isTime && Array.isArray(approvers) && approvers.every(isApprover);
}

function isApprover(value: unknown): value is Approver {
  const { id } = (value ?? {}) as Record<string, unknown>;
  return typeof id === 'string';
}

/** Maximum length of the title and the requester before the input is parsed, in UTF-16 code units. */
const MAX_TEXT_LENGTH = 200;

/**
 * Reads a text field from the raw input, so that the view shows the field before the input is parsed.
 *
 * @returns an empty string if the field is not a string.
 */
export function readText(input: unknown, field: 'title' | 'requestedBy'): string {
  const value = (input as Record<string, unknown> | null | undefined)?.[field];
  return typeof value === 'string' ? truncateText(value, MAX_TEXT_LENGTH) : '';
}
