/** One call of an operation, as readers see it; a test makes each of them. */
export interface Example {
  /** Of path and query, by name. */
  parameters?: Record<string, string | number>;
  body?: unknown;
  /** By content type, where there are several. */
  bodies?: Record<string, unknown>;
  answer?: unknown;
}

export const examples: Record<string, Example> = {};
