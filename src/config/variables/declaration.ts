import type { z } from 'zod';

/** The processes that read a configuration. `replay` stands for the command `npm run replay`. */
export type ProcessName = 'worker' | 'api' | 'setup' | 'replay';

/** An environment variable. */
export interface VariableDeclaration {
  /** Parses the text of the variable. A schema that accepts undefined makes the variable optional. */
  schema: z.ZodType;
  /** What the variable sets, in one or two sentences for the reference of all variables. */
  description: string;
  /** A valid value. */
  example: string;
  readBy: readonly ProcessName[];
  /** A secret is never printed, and can be in a file that `NAME_FILE` names. */
  secret?: true;
}
