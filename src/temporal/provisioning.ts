import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import type { Connection } from '@temporalio/client';
import type { defineSearchAttributeKey } from '@temporalio/common';
import Long from 'long';
import proto from '@temporalio/proto';
import { grpcErrorIn } from './grpc-errors.js';

const { IndexedValueType } = proto.temporal.api.enums.v1;

export type SearchAttributeKey = ReturnType<typeof defineSearchAttributeKey>;

/** The retention of closed workflows in a new namespace. */
const DEFAULT_RETENTION_DAYS = 7;

/**
 * Long enough for a server to load a new namespace or search attribute into its caches, which takes about ten seconds.
 */
const PROPAGATION_TIMEOUT_MS = 60_000;

/**
 * Creates the namespace if it is missing, and waits until the server accepts it.
 *
 * @param retentionDays how long the server keeps closed workflows. If set, an existing namespace is changed too.
 */
export async function ensureNamespace(
  connection: Connection,
  namespace: string,
  { retentionDays }: { retentionDays?: number | undefined } = {},
): Promise<void> {
  const existing = await findNamespace(connection, namespace);
  if (existing) {
    const seconds = retentionDays === undefined ? undefined : secondsOf(retentionDays);
    if (!seconds || existing.config?.workflowExecutionRetentionTtl?.seconds?.equals(seconds)) return;
    await connection.workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: { seconds } },
    });
    return;
  }
  const seconds = secondsOf(retentionDays ?? DEFAULT_RETENTION_DAYS);
  await connection.workflowService
    .registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds } })
    .catch((error: unknown) => {
      if (grpcErrorIn(error)?.code !== status.ALREADY_EXISTS) throw error;
    });
  // `describeNamespace` reads the database. This call reads the server's cache, which all other calls use too.
  await retryUntilAccepted(() => connection.operatorService.listSearchAttributes({ namespace }), [status.NOT_FOUND]);
}

const secondsOf = (days: number) => Long.fromNumber(days * 24 * 60 * 60);

async function findNamespace(connection: Connection, namespace: string) {
  try {
    return await connection.workflowService.describeNamespace({ namespace });
  } catch (error) {
    if (grpcErrorIn(error)?.code !== status.NOT_FOUND) throw error;
    return undefined;
  }
}

/**
 * Registers missing search attributes and waits until queries can use them. The wait is necessary, because the server
 * rejects a start with an unknown search attribute.
 *
 * @returns the names of the new search attributes.
 *
 * @throws when a search attribute exists with another type.
 */
export async function ensureSearchAttributes(
  connection: Connection,
  namespace: string,
  attributes: readonly SearchAttributeKey[],
): Promise<string[]> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const existing = customAttributes ?? {};
  for (const [name, type] of Object.entries(toIndexedValueTypes(attributes))) {
    if (name in existing && existing[name] !== type) {
      throw new Error(`search attribute ${name} already exists in namespace ${namespace} with another type`);
    }
  }
  const missing = attributes.filter(({ name }) => !(name in existing));
  if (missing.length === 0) return [];
  await connection.operatorService
    .addSearchAttributes({ namespace, searchAttributes: toIndexedValueTypes(missing) })
    .catch((error: unknown) => {
      if (grpcErrorIn(error)?.code !== status.ALREADY_EXISTS) throw error;
    });
  const query = attributes.map(({ name }) => `${name} is null`).join(' and ');
  await retryUntilAccepted(
    () => connection.workflowService.countWorkflowExecutions({ namespace, query }),
    [status.INVALID_ARGUMENT, status.NOT_FOUND],
  );
  return missing.map(({ name }) => name);
}

/** Converts search attributes into the format of the server's API. */
export function toIndexedValueTypes(attributes: readonly SearchAttributeKey[]) {
  return Object.fromEntries(attributes.map(({ name, type }) => [name, IndexedValueType[`INDEXED_VALUE_TYPE_${type}`]]));
}

/** Retries a call while it fails with one of the given codes, for at most a minute. */
async function retryUntilAccepted(call: () => Promise<unknown>, retryableCodes: readonly status[]): Promise<void> {
  const deadline = Date.now() + PROPAGATION_TIMEOUT_MS;
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      const code = grpcErrorIn(error)?.code;
      if (code === undefined || !retryableCodes.includes(code) || Date.now() > deadline) throw error;
      await sleep(200);
    }
  }
}
