import type { z } from 'zod';

/** The processes that read a configuration. `replay` is the command `npm run replay`. */
export type ProcessName = 'worker' | 'api' | 'setup' | 'replay';

/** An environment variable. */
export interface VariableDeclaration {
  /**
   * Parses the value of the variable. A schema that accepts undefined makes the variable optional. The metadata `values`
   * names the accepted values, unless the schema is an enum or a literal.
   */
  schema: z.ZodType;
  /** What the variable sets, in one or two sentences. docs/reference/configuration.md shows this text. */
  description: string;
  /** A valid value. */
  example: string;
  readBy: readonly ProcessName[];
  /** Marks a secret. Its value is never printed, and it can be in a file (variable `NAME_FILE`). */
  secret?: true;
}
