import type { z } from 'zod';
import { toInputProblems, type InputProblem } from '../../../schemas/shared/input-problems.js';

/** An input of a form, as its problems name it. */
export interface NamedInput {
  label: string;
  /** The limits of a number. */
  minimum?: number;
  maximum?: number;
  /** What a list contains, in the singular. */
  itemLabel?: string;
}

export type ParsedInputs<Data> =
  { data: Data; problems?: undefined } | { data?: undefined; problems: readonly InputProblem[] };

/**
 * Parses the inputs of a form. A problem says what to enter, for example `Enter a whole number from 1 to 1,000`. A
 * schema with a text of its own keeps this text, for example `must start with a letter`.
 */
export function parseInputs<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  inputAt: (path: readonly PropertyKey[]) => NamedInput,
): ParsedInputs<z.output<Schema>> {
  const parsed = schema.safeParse(value, { error: createInstructions(inputAt) });
  return parsed.success ? { data: parsed.data } : { problems: toInputProblems(parsed.error.issues) };
}

/** Returns the texts of problems for zod, which says what to enter. */
export const createInstructions =
  (inputAt: (path: readonly PropertyKey[]) => NamedInput): z.core.$ZodErrorMap =>
  (issue) =>
    instructionFor(issue, inputAt(issue.path ?? []));

/** Names the input of a problem, unless the text of the problem contains the name. */
export function describeProblem(label: string, detail: string): string {
  if (label === '') return capitalize(detail);
  return isInstruction(detail) && detail.includes(nameOf(label)) ? detail : `${label}: ${detail}`;
}

/** Names the inputs of all problems in one line. `labelOf` returns the label of a field of the input. */
export const describeProblems = (problems: readonly InputProblem[], labelOf: (name: string) => string): string =>
  problems.map(({ pointer, detail }) => describeProblem(labelOf(pointer.split('/').at(-1)!), detail)).join('; ');

/** The text of a problem beside its input. */
export const capitalize = (detail: string): string => detail.charAt(0).toUpperCase() + detail.slice(1);

/** Asks for an input that is missing. */
export const enterInput = ({ label }: NamedInput): string => `Enter the ${nameOf(label)}`;

/** Asks for a number within the limits of the input. */
export function enterNumber({ minimum, maximum }: Omit<NamedInput, 'label'>): string {
  const [min, max] = [minimum, maximum].map((limit) => limit?.toLocaleString('en'));
  if (min !== undefined && max !== undefined) return `Enter a whole number from ${min} to ${max}`;
  if (min !== undefined) return `Enter a whole number of at least ${min}`;
  return max === undefined ? 'Enter a whole number' : `Enter a whole number of at most ${max}`;
}

const isInstruction = (detail: string): boolean => /^[A-Z]/.test(detail);

/** The label within a sentence: `Customer id` becomes `customer id`, and `SKU` stays. */
const nameOf = (label: string): string =>
  /^[A-Z][a-z]/.test(label) ? label.charAt(0).toLowerCase() + label.slice(1) : label;

function instructionFor(issue: z.core.$ZodRawIssue, input: NamedInput): string {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined || issue.input === '') return enterInput(input);
      return ['number', 'int'].includes(issue.expected) ? enterNumber(input) : enterInput(input);
    case 'too_small':
    case 'too_big':
      return sizeInstruction(issue, input);
    case 'invalid_value':
      return 'Choose one of the values in the list';
    case 'invalid_format':
      return issue.format === 'datetime' ? 'Enter a date such as 2026-01-31' : `Enter a valid ${nameOf(input.label)}`;
    default:
      return `Enter a valid ${nameOf(input.label)}`;
  }
}

interface SizeIssue {
  origin: string;
  input?: unknown;
  minimum?: number | bigint;
  maximum?: number | bigint;
}

function sizeInstruction({ origin, minimum, maximum, ...issue }: SizeIssue, input: NamedInput): string {
  const limit = Number(minimum ?? maximum);
  const bound = minimum === undefined ? 'at most' : 'at least';
  if (origin === 'string') {
    if (issue.input === '') return enterInput(input);
    return `Enter ${bound} ${countOf(limit, 'character')}`;
  }
  if (origin === 'array') return `Enter ${bound} ${countOf(limit, nameOf(input.itemLabel ?? 'entry'))}`;
  return enterNumber({ ...(minimum === undefined ? { maximum: limit } : { minimum: limit }), ...input });
}

function countOf(count: number, one: string): string {
  const many = one.endsWith('y') ? `${one.slice(0, -1)}ies` : `${one}s`;
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}
