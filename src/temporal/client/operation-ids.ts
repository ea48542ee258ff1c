import { createHash } from 'node:crypto';
import type { WorkflowExecutionDescription } from '@temporalio/client';

/**
 * The operation id identifies one call of a client and its content, so that Temporal can ignore a repeated call. This
 * file turns it into the id of an update or the memo of a started run; signal-once.ts turns it into the id of a signal.
 * A call without an idempotency key has no operation id, and Temporal generates an id.
 */

/** Returns the options of an update that is applied once per operation id. */
export const updateOptionsOf = (operationId: string | undefined): { updateId?: string } =>
  operationId === undefined ? {} : { updateId: operationId };

/**
 * Returns an update id that depends on the kind and content of a change. Temporal returns the first result to every
 * update with the same id, so different changes need different ids.
 */
export const updateIdOfContent = (updateName: string, argument: object): string =>
  createHash('sha256')
    .update(JSON.stringify([updateName, argument]))
    .digest('base64url');

/** Returns the options of a start that record which call started the run. */
export const memoOptionsOf = (operationId: string | undefined): { memo?: { operationId: string } } =>
  operationId === undefined ? {} : { memo: { operationId } };

/** Whether the call with this operation id started the run. */
export const isStartedBy = ({ memo }: Pick<WorkflowExecutionDescription, 'memo'>, operationId: string): boolean =>
  memo?.operationId === operationId;
