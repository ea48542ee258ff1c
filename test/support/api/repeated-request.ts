import type { Problem } from '../../../src/schemas/shared/problem.js';
import type { ApiResponse, RequestOptions } from './api.js';

/** The responses of all repeated requests. Each response has some of these fields. */
export type RequestBody = Problem & { orderId?: string; approvalId?: string; batchId?: string };

/** A request that must take effect only once when the tests repeat it. */
export interface RepeatedRequest extends RequestOptions {
  method: string;
  path: string;
  /** The same request with different content. */
  changedContent: RequestOptions & { path?: string };
  /** Reads the effect from Temporal or the store. */
  readEffect: (first: ApiResponse<RequestBody>) => Promise<unknown>;
  expectedEffect: unknown;
}

/**
 * What the repeated requests of a feature need from the test of the idempotency keys.
 *
 * @public The features that `npm run new` adds use this type.
 */
export interface RepeatedRequestTools {
  post: (path: string, json?: unknown) => Promise<unknown>;
  workflowExists: (workflowId: string) => Promise<boolean>;
  /** Counts the accepted updates with this name. */
  countUpdates: (workflowId: string, name: string) => Promise<number>;
}
