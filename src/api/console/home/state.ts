import { waitForAll, withTimeout } from '../../../async/promises.js';
import { countOpenBatches, listRunningBatchIds } from '../../../observability/open-batches.js';
import { countOpenWorkflows } from '../../../observability/open-work.js';
import { findUnpolledTaskQueues } from '../../../temporal/client/pollers.js';
import { quoteCallerId } from '../../../temporal/client/visibility.js';
import { readTaskBacklogs } from '../../../temporal/monitoring.js';
import type { Backends } from '../../dependencies.js';
import type { Caller } from '../../http/caller.js';
import { createSharedReads } from '../../http/live/shared-reads.js';
import { toProblem } from '../../problems/error-mapping.js';
import { httpProblem } from '../../problems/http-problem.js';
import { readPartnerRetries } from './partners.js';

/** All viewers get the same result for this time. */
const MAX_AGE_MS = 3_000;

/** A part that takes longer counts as failed, so that the rest of the page appears. */
const PART_TIMEOUT_MS = 2_500;

/** A running batch without progress for this time needs a person. The alert BatchStalled has the same limit. */
const STALLED_AFTER_SECONDS = 600;

/** Only the newest reports of each reason in the last days are counted, because nobody closes a report. */
export const REPORT_DAYS = 7;
const MAX_REPORTS = 500;

/** Each of these orders gets a line of the page. */
const MAX_UNRECONCILED_ORDERS = 20;

/** A part of the page, or the reason why it is missing. */
export type Part<T> = { value: T } | { missing: string };

type Values<Parts> = { [Name in keyof Parts]: Parts[Name] extends Promise<Part<infer T>> ? Part<T> : never };

/**
 * Creates the functions that read the first page. Each part can fail without the others. Counts come from bounded,
 * indexed queries, and from Temporal's count API. All viewers share the reads.
 */
export function createHomeReads({ store, ...clients }: Backends) {
  const { client } = clients;
  const share = createSharedReads(MAX_AGE_MS);
  const fromTemporal = <T>(key: string, read: () => Promise<T>) =>
    share(key, () => partOf(read, () => httpProblem('temporal-unavailable', 'Temporal does not answer')));
  const fromStore = <T>(key: string, read: () => Promise<T>) =>
    share(key, () => partOf(read, () => httpProblem('store-unavailable', 'the database does not answer')));
  const countOpen = (type: string, filter?: string) =>
    fromTemporal(`${type} ${filter}`, () => countOpenWorkflows(clients, type, filter));

  return {
    /** What operators see. */
    readShop: () =>
      readParts({
        openOrders: countOpen('order'),
        openCarts: countOpen('cart'),
        openApprovals: countOpen('approval'),
        openBatches: countOpen('batch'),
        orders: fromStore('orders', () => store.countOrdersForOperators()),
        pendingApprovals: fromStore('pending approvals', () => store.countPendingApprovals()),
        overdueApprovals: fromStore('overdue approvals', () => store.countOverdueApprovals()),
        batches: fromTemporal('batches', () => countOpenBatches(client)),
        stalledBatches: fromTemporal('stalled batches', async () => {
          const idleSeconds = await store.readBatchIdleSeconds(await listRunningBatchIds(client));
          return idleSeconds.filter((seconds) => seconds > STALLED_AFTER_SECONDS).length;
        }),
        reports: fromStore('reports', () => store.countSurprisingReports({ days: REPORT_DAYS, max: MAX_REPORTS })),
        unreconciledOrders: fromStore('unreconciled orders', () =>
          store.listUnreconciledOrders(MAX_UNRECONCILED_ORDERS),
        ),
        unreconciledOrderCount: fromStore('count of unreconciled orders', () => store.countUnreconciledOrders()),
        store: fromStore('store', () => store.checkWritable()),
        unpolledQueues: fromTemporal('pollers', () => findUnpolledTaskQueues(clients)),
        backlogs: fromTemporal('backlogs', () => readTaskBacklogs(clients)),
        retries: fromTemporal('retries', () => readPartnerRetries(client)),
      }),

    /** What a caller sees who may access only their own resources. */
    readOwn: ({ id }: Caller) =>
      readParts({
        orders: countOpen('order', `CustomerId = ${quoteCallerId(id)}`),
        carts: countOpen('cart', `CustomerId = ${quoteCallerId(id)}`),
        approvals: countOpen('approval', `ApprovalStatus = 'pending' and Approvers = ${quoteCallerId(id)}`),
      }),
  };
}

export type ShopState = Awaited<ReturnType<ReturnType<typeof createHomeReads>['readShop']>>;
export type OwnState = Awaited<ReturnType<ReturnType<typeof createHomeReads>['readOwn']>>;

async function readParts<Parts extends Record<string, Promise<Part<unknown>>>>(parts: Parts): Promise<Values<Parts>> {
  const values = await waitForAll(Object.values(parts));
  return Object.fromEntries(Object.keys(parts).map((name, index) => [name, values[index]])) as Values<Parts>;
}

async function partOf<T>(read: () => Promise<T>, timeoutProblem: () => Error): Promise<Part<T>> {
  try {
    const value = await withTimeout(read(), PART_TIMEOUT_MS, () => {
      throw timeoutProblem();
    });
    return { value };
  } catch (error) {
    return { missing: toProblem(error).message };
  }
}
