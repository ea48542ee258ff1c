import type { z } from 'zod';
import { toInputProblems } from '../../schemas/shared/input-problems.js';
import { invalidRequest } from '../problems/http-problem.js';

/** Parses input that no route schema covers, such as a form. @throws 400 with the invalid fields. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidRequest(toInputProblems(parsed.error.issues));
}
