import type { FastifyBaseLogger } from 'fastify';
import { runConcurrently } from '../../async/concurrency.js';
import { DEFAULT_BULK_ITEMS, MAX_BULK_COUNT, type BulkItem, type BulkResult } from '../../schemas/bulk.js';
import { toProblem } from '../problems/error-mapping.js';

/** The number of resources that are changed at the same time. The workers and the database also serve other callers. */
const CONCURRENCY = 8;

/**
 * By default, no further resource is changed after this time. One change takes at most about ten seconds, so the request
 * ends within the handler timeout of 30 seconds.
 */
const START_LIMIT_MS = 15_000;

/** How a bulk action runs. */
export interface BulkOptions {
  log: FastifyBaseLogger;
  /** After this signal aborts, no further resource is changed. By default, it aborts after 15 seconds. */
  stop?: AbortSignal | undefined;
  /** Called with the result of each resource, in the order in which the changes end. */
  onItem?: ((item: BulkItem) => void) | undefined;
}

interface Selection {
  /** The ids to which the action applies. */
  ids: readonly string[];
  matchCount: number;
  hasMore: boolean;
}

/** Selects the resources with these ids. */
export const selectIds = (ids: readonly string[]): Selection => {
  const unique = [...new Set(ids)];
  return { ids: unique, matchCount: unique.length, hasMore: false };
};

/** Selects the first `limit` resources of a list, and counts the others up to a maximum. */
export async function selectFirst(
  limit: number = DEFAULT_BULK_ITEMS,
  readIds: (limit: number) => Promise<string[]>,
): Promise<Selection> {
  const ids = await readIds(MAX_BULK_COUNT + 1);
  return {
    ids: ids.slice(0, limit),
    matchCount: Math.min(ids.length, MAX_BULK_COUNT),
    hasMore: ids.length > MAX_BULK_COUNT,
  };
}

interface BulkRun extends BulkOptions {
  dryRun: boolean | undefined;
  /** Changes one resource. */
  apply: (id: string) => Promise<unknown>;
  /** The name of the action, and of the path parameter of a resource, in the log. */
  action: string;
  idField: 'orderId' | 'batchId';
}

/**
 * Applies an action to each selected resource, and logs a line for each. The failure of one of them does not end the
 * others.
 */
export async function runBulk(
  { ids, ...counts }: Selection,
  { dryRun = false, apply, action, idField, log, onItem, stop = AbortSignal.timeout(START_LIMIT_MS) }: BulkRun,
): Promise<BulkResult> {
  if (dryRun) return { dryRun, ...counts, items: ids.map((id) => ({ id, result: 'planned' })) };
  const items: BulkItem[] = [];
  await runConcurrently(ids.length, CONCURRENCY, async (index) => {
    const id = ids[index]!;
    const item: BulkItem = stop.aborted ? { id, result: 'not_started' } : await applyTo(id);
    const { result, problem } = item;
    log.info({ params: { [idField]: id }, action, result, ...(problem && { problem }) }, 'action');
    items[index] = item;
    onItem?.(item);
  });
  return { dryRun, ...counts, items };

  async function applyTo(id: string): Promise<BulkItem> {
    try {
      await apply(id);
      return { id, result: 'done' };
    } catch (error) {
      const { kind, status, message } = toProblem(error);
      if (status >= 500) log.error({ err: error, id }, 'an item of a bulk request failed');
      return { id, result: status >= 500 ? 'failed' : 'rejected', problem: `/problems/${kind}`, detail: message };
    }
  }
}
