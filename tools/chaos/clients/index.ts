import { setMaxListeners } from 'node:events';
import type { Client } from '@temporalio/client';
import type { Store } from '../../../src/store/index.js';
import type { Addresses } from '../../stack/stack.js';
import type { Ledger } from '../ledger.js';
import type { Random } from '../random.js';
import { approvalStory } from './approvals.js';
import { restock } from './batches.js';
import { Caller } from './caller.js';
import { cartStory } from './carts.js';
import { EDGE_CASES, playEdgeCase } from './edge-cases.js';
import { place, seen } from './order-steps.js';
import { buyFromABadCarrier, orderStory } from './orders.js';
import { PRODUCTS } from './products.js';
import type { Visit } from './visit.js';

export { stockTheShop } from './products.js';

export interface CrowdOptions {
  addresses: Pick<Addresses, 'apiUrls' | 'paymentsUrl' | 'carrierWebhookSecret' | 'approvalWebhookSecret'>;
  /** What edge cases need besides the API. Without it, no edge case runs. */
  tools?: { client: Client; store: Store };
  /** Decides what the customers do, but not when. */
  random: Random;
  pace?: Partial<Pace>;
}

/** The amount of load. */
export interface Pace {
  /** The number of customers; each runs one story after the other. */
  customers: number;
  /** The longest pause of a customer between two stories. */
  restMs: number;
  /** The number of lines of an upload. */
  batchLines: number;
}

const DEFAULT_PACE: Pace = { customers: 8, restMs: 1_000, batchLines: 3_000 };

/** How often a probe order is placed, and how many probe orders may be open at once. */
const TRY_EVERY_MS = 500;
const MOST_TRIES = 5;

/** The load generator: clients that use only the shop's HTTP API and keep retrying while it is unavailable. */
export interface Crowd {
  /** Everything that was promised so far. */
  readonly ledger: Ledger;
  /**
   * Places small probe orders, one every half second, until one of them is completed: the shop works again. The ledger
   * contains them like all other orders.
   *
   * @returns performance.now() at that moment. @throws after the deadline.
   */
  completesAnOrder(deadlineMs: number): Promise<number>;
  /**
   * Begins nothing new and waits until everything in progress ends; requests still open at the deadline count as
   * unknown.
   *
   * @throws when a customer's own code failed, which is a bug in the load generator.
   */
  stop(deadlineMs: number): Promise<Ledger>;
}

/** Starts the load. The products must exist already: see `stockTheShop`. */
export function startCrowd({ addresses, tools, random, pace }: CrowdOptions): Crowd {
  const { customers, restMs, batchLines } = { ...DEFAULT_PACE, ...pace };
  const ledger: Ledger = {
    products: PRODUCTS,
    orders: [],
    carts: [],
    approvals: [],
    batches: [],
    callbacks: { sent: 0, repeated: 0, outOfOrder: 0 },
    attempts: 0,
    refused: {},
    foreignReports: [],
    resets: [],
    edgeCases: [],
  };
  const leaving = new AbortController();
  // Every request in progress listens to this signal; 0 turns off the warning about many listeners.
  setMaxListeners(0, leaving.signal);
  const caller = new Caller(addresses.apiUrls, { tally: ledger, left: leaving.signal });
  const outside = {
    apiUrl: addresses.apiUrls[0],
    answersUrl: new URL('/test/answers/204', addresses.paymentsUrl).href,
    carrierSecret: addresses.carrierWebhookSecret,
    approvalSecret: addresses.approvalWebhookSecret,
  };
  // Makes ids unique when two load generators use one shop.
  const name = `crowd-${random.branch('name').from(0, 0xff_ff_ff).toString(16)}`;
  const aVisit = (id: string): Visit => ({
    id: `${name}-${id}`,
    ledger,
    caller,
    outside,
    left: leaving.signal,
    random: random.branch(id),
  });
  let isOpen = true;
  let tries = 0;

  const stories = [...Array<typeof orderStory>(7).fill(orderStory), cartStory, cartStory, approvalStory];
  async function keepBusy(customer: number): Promise<void> {
    for (let number = 1; isOpen; number += 1) {
      const visit = aVisit(`${customer}-${number}`);
      await visit.random.of(stories)(visit);
      if (isOpen) await caller.rest(visit.random.from(0, restMs));
    }
  }

  /** Uploads one batch at the beginning, and another one later. */
  async function restockTwice(): Promise<void> {
    await restock(aVisit('batch-1'), 0, batchLines);
    const [visit, later] = [aVisit('batch-2'), random.branch('batches').from(10, 40)];
    while (isOpen && ledger.orders.length < later) await caller.rest(restMs);
    if (isOpen) await restock(visit, 1, batchLines);
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
  for (let customer = 1; customer <= customers; customer += 1) begin(keepBusy(customer));
  begin(restockTwice());
  // Ensures repeated and out-of-order callbacks in every run, however short the run and whatever its seed.
  begin(buyFromABadCarrier(aVisit('bad-carrier')));
  for (const name of tools ? Object.keys(EDGE_CASES) : [])
    begin(playEdgeCase(name, aVisit(name.replaceAll(' ', '-')), tools!));

  return {
    ledger,
    async completesAnOrder(deadlineMs) {
      const over = new AbortController();
      setMaxListeners(0, over.signal);
      const late = setTimeout(() => over.abort(), deadlineMs);
      let completedAt: number | undefined;
      let open = 0;
      const tryOne = async (): Promise<void> => {
        open += 1;
        const visit = aVisit(`try-${(tries += 1)}`);
        const orderId = await place(visit);
        const isCompleted = ({ status }: { status: string }) => status === 'completed';
        if (orderId !== undefined && (await seen(visit, orderId, isCompleted, over.signal))) {
          completedAt ??= performance.now();
          over.abort();
        }
        open -= 1;
      };
      while (!over.signal.aborted && isOpen) {
        if (open < MOST_TRIES) begin(tryOne());
        await caller.rest(TRY_EVERY_MS, over.signal);
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
