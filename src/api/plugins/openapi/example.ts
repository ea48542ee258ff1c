/** One example call of an operation in the OpenAPI document. A test makes each call. */
export interface Example {
  /** Values by parameter name, for parameters whose schema has no suitable example. */
  parameters?: Record<string, string | number>;
  body?: unknown;
  /** Bodies by content type, for operations that accept several content types. */
  bodies?: Record<string, unknown>;
  /** The status of the response, for operations with several successful responses. */
  status?: number;
  response?: unknown;
  /** Responses by content type, for operations that return several content types. */
  responses?: Record<string, unknown>;
}
