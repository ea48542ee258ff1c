import { createHash } from 'node:crypto';
import type { WorkflowExecutionDescription } from '@temporalio/client';

/*
 * The operation id identifies one call of a client and its content. Temporal makes a repeated call with the same id
 * harmless: it becomes an update id here, the id of a signal in signal-once.ts, and the memo of a started run here.
 * Without an idempotency key, a call has no operation id and Temporal generates one.
 */

/** Options of an update that is applied once for each operation id. */
export const updateOptionsOf = (operationId: string | undefined): { updateId?: string } =>
  operationId === undefined ? {} : { updateId: operationId };

/**
 * An update id that covers the kind and the content of a change, because Temporal answers every update with the same id
 * with the first result.
 */
export const updateIdOfContent = (updateName: string, argument: object): string =>
  createHash('sha256')
    .update(JSON.stringify([updateName, argument]))
    .digest('base64url');

/** Options of a start that record which call started the run. */
export const memoOptionsOf = (operationId: string | undefined): { memo?: { operationId: string } } =>
  operationId === undefined ? {} : { memo: { operationId } };

/** Whether the call with this operation id started the run. */
export const isStartedBy = ({ memo }: Pick<WorkflowExecutionDescription, 'memo'>, operationId: string): boolean =>
  memo?.operationId === operationId;
