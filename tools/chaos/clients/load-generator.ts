import { setMaxListeners } from 'node:events';
import type { Client } from '@temporalio/client';
import type { Store } from '../../../src/store/index.js';
import type { StackAddresses } from '../../stack/stack.js';
import type { ClientLog } from '../client-log.js';
import type { SeededRandom } from '../random.js';
import { runApprovalScenario } from './scenarios/approvals.js';
import { uploadRestockBatch } from './scenarios/batches.js';
import { RetryingClient } from './retrying-client.js';
import { runCartScenario } from './scenarios/carts.js';
import { EDGE_CASES, runEdgeCase } from './edge-cases/edge-cases.js';
import { placeOrder, pollOrder } from './scenarios/order-steps.js';
import { buyWithDisorderedReports, runOrderScenario } from './scenarios/orders.js';
import { PRODUCTS } from './products.js';
import type { ClientSession } from './client-session.js';

export { addLoadProducts } from './products.js';

export interface LoadGeneratorOptions {
  addresses: Pick<StackAddresses, 'apiUrls' | 'paymentsUrl' | 'carrierWebhookSecret' | 'approvalWebhookSecret'>;
  /** What edge cases need besides the API. Without it, no edge case runs. */
  directAccess?: { client: Client; store: Store };
  /** Decides what the customers do, but not when. */
  random: SeededRandom;
  profile?: Partial<LoadProfile>;
}

/** The amount of load. */
export interface LoadProfile {
  /** The number of customers; each runs one story after the other. */
  clients: number;
  /** The longest pause of a customer between two stories. */
  maxPauseMs: number;
  /** The number of lines of an upload. */
  linesPerBatch: number;
}

const DEFAULT_LOAD_PROFILE: LoadProfile = { clients: 8, maxPauseMs: 1_000, linesPerBatch: 3_000 };

/** How often a probe order is placed, and how many probe orders may be open at once. */
const PROBE_INTERVAL_MS = 500;
const MAX_OPEN_PROBES = 5;

/** The load generator: clients that use only the shop's HTTP API and keep retrying while it is unavailable. */
export interface LoadGenerator {
  /** Everything that was promised so far. */
  readonly log: ClientLog;
  /**
   * Places small probe orders, one every half second, until one of them is completed: the shop works again. The ledger
   * contains them like all other orders.
   *
   * @returns performance.now() at that moment. @throws after the deadline.
   */
  waitForCompletedOrder(deadlineMs: number): Promise<number>;
  /**
   * Begins nothing new and waits until everything in progress ends; requests still open at the deadline count as
   * unknown.
   *
   * @throws when a customer's own code failed, which is a bug in the load generator.
   */
  stop(deadlineMs: number): Promise<ClientLog>;
}

/** Starts the load. The products must exist already: see `stockTheShop`. */
export function startLoadGenerator({ addresses, directAccess, random, profile }: LoadGeneratorOptions): LoadGenerator {
  const { clients, maxPauseMs, linesPerBatch } = { ...DEFAULT_LOAD_PROFILE, ...profile };
  const ledger: ClientLog = {
    products: PRODUCTS,
    orders: [],
    carts: [],
    approvals: [],
    batches: [],
    callbacks: { sent: 0, repeated: 0, outOfOrder: 0 },
    requestsSent: 0,
    failedRequests: {},
    foreignReportOrderIds: [],
    resetWorkflowIds: [],
    edgeCases: [],
  };
  const leaving = new AbortController();
  // Every request in progress listens to this signal; 0 turns off the warning about many listeners.
  setMaxListeners(0, leaving.signal);
  const caller = new RetryingClient(addresses.apiUrls, { tally: ledger, left: leaving.signal });
  const outside = {
    apiUrl: addresses.apiUrls[0],
    webhookSinkUrl: new URL('/test/responses/204', addresses.paymentsUrl).href,
    carrierWebhookSecret: addresses.carrierWebhookSecret,
    approvalWebhookSecret: addresses.approvalWebhookSecret,
  };
  // Makes ids unique when two load generators use one shop.
  const name = `load-${random.fork('name').integer(0, 0xff_ff_ff).toString(16)}`;
  const aVisit = (id: string): ClientSession => ({
    id: `${name}-${id}`,
    log: ledger,
    http: caller,
    endpoints: outside,
    stopSignal: leaving.signal,
    random: random.fork(id),
  });
  let isOpen = true;
  let tries = 0;

  const stories = [
    ...Array<typeof runOrderScenario>(7).fill(runOrderScenario),
    runCartScenario,
    runCartScenario,
    runApprovalScenario,
  ];
  async function keepBusy(customer: number): Promise<void> {
    for (let number = 1; isOpen; number += 1) {
      const visit = aVisit(`${customer}-${number}`);
      await visit.random.pick(stories)(visit);
      if (isOpen) await caller.pause(visit.random.integer(0, maxPauseMs));
    }
  }

  /** Uploads one batch at the beginning, and another one later. */
  async function restockTwice(): Promise<void> {
    await uploadRestockBatch(aVisit('batch-1'), 0, linesPerBatch);
    const [visit, later] = [aVisit('batch-2'), random.fork('batches').integer(10, 40)];
    while (isOpen && ledger.orders.length < later) await caller.pause(maxPauseMs);
    if (isOpen) await uploadRestockBatch(visit, 1, linesPerBatch);
  }

  const underWay = new Set<Promise<void>>();
  let failure: Error | undefined;
  const begin = (work: Promise<void>) => {
    const settled = work.catch((error: unknown) => {
      failure ??= error as Error;
    });
    underWay.add(settled);
    void settled.then(() => underWay.delete(settled));
  };
  for (let customer = 1; customer <= clients; customer += 1) begin(keepBusy(customer));
  begin(restockTwice());
  // Ensures repeated and out-of-order callbacks in every run, however short the run and whatever its seed.
  begin(buyWithDisorderedReports(aVisit('bad-carrier')));
  for (const name of directAccess ? Object.keys(EDGE_CASES) : [])
    begin(runEdgeCase(name, aVisit(name.replaceAll(' ', '-')), directAccess!));

  return {
    log: ledger,
    async waitForCompletedOrder(deadlineMs) {
      const over = new AbortController();
      setMaxListeners(0, over.signal);
      const late = setTimeout(() => over.abort(), deadlineMs);
      let completedAt: number | undefined;
      let open = 0;
      const tryOne = async (): Promise<void> => {
        open += 1;
        const visit = aVisit(`try-${(tries += 1)}`);
        const orderId = await placeOrder(visit);
        const isCompleted = ({ status }: { status: string }) => status === 'completed';
        if (orderId !== undefined && (await pollOrder(visit, orderId, isCompleted, over.signal))) {
          completedAt ??= performance.now();
          over.abort();
        }
        open -= 1;
      };
      while (!over.signal.aborted && isOpen) {
        if (open < MAX_OPEN_PROBES) begin(tryOne());
        await caller.pause(PROBE_INTERVAL_MS, over.signal);
      }
      clearTimeout(late);
      if (completedAt === undefined) throw new Error(`no order was completed within ${deadlineMs / 1000} s`);
      return completedAt;
    },
    async stop(deadlineMs) {
      isOpen = false;
      const late = setTimeout(() => leaving.abort(), deadlineMs);
      while (underWay.size > 0) await Promise.all(underWay);
      clearTimeout(late);
      leaving.abort();
      if (failure) throw failure;
      return ledger;
    },
  };
}
