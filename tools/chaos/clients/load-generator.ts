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
import { buyWithDisorderedReports, runOrderScenario } from './scenarios/orders.js';
import { BackgroundWork } from './background-work.js';
import type { ClientSession } from './client-session.js';
import { PRODUCTS } from './products.js';
import { RecoveryProbe } from './recovery-probe.js';

export interface LoadGeneratorOptions {
  addresses: Pick<StackAddresses, 'apiUrls' | 'paymentsUrl' | 'carrierWebhookSecret' | 'approvalWebhookSecret'>;
  /** What edge cases use in addition to the API. If missing, no edge case runs. */
  directAccess?: { client: Client; store: Store };
  /** Determines what the clients do. The timing also depends on the shop. */
  random: SeededRandom;
  profile?: Partial<LoadProfile>;
}

/** How much load the clients generate. */
export interface LoadProfile {
  /** The number of clients. Each client runs one scenario after the other. */
  clients: number;
  /** The longest pause of a client between two scenarios. */
  maxPauseMs: number;
  /** The number of lines per upload. */
  linesPerBatch: number;
}

const DEFAULT_LOAD_PROFILE: LoadProfile = { clients: 8, maxPauseMs: 1_000, linesPerBatch: 3_000 };

/**
 * Generates load with clients that use the HTTP API and retry while it is unavailable. Only edge cases use other
 * access.
 */
export interface LoadGenerator {
  /** All requests until now, and their outcomes. */
  readonly log: ClientLog;
  /**
   * Places a small probe order every half second until one of them completes, which shows that the shop works again.
   * The log contains probe orders like all other orders.
   *
   * @returns performance.now() when the probe order completed. @throws after the deadline.
   */
  waitForCompletedOrder(deadlineMs: number): Promise<number>;
  /**
   * Starts no new scenario and waits until the running ones end. Requests without a response at the deadline keep the
   * outcome `unknown`.
   *
   * @throws when a scenario failed, which is a bug in the load generator.
   */
  stop(deadlineMs: number): Promise<ClientLog>;
}

/** Starts the clients. Call `addLoadProducts` first. */
export function startLoadGenerator({ addresses, directAccess, random, profile }: LoadGeneratorOptions): LoadGenerator {
  const { clients, maxPauseMs, linesPerBatch } = { ...DEFAULT_LOAD_PROFILE, ...profile };
  const log = emptyLog();
  const stopController = new AbortController();
  // Every running request listens to this signal. 0 turns off the warning about many listeners.
  setMaxListeners(0, stopController.signal);
  const http = new RetryingClient(addresses.apiUrls, { counts: log, stopSignal: stopController.signal });
  // Makes ids unique when two load generators use the same shop.
  const name = `load-${random.fork('name').integer(0, 0xff_ff_ff).toString(16)}`;
  const createSession = (id: string): ClientSession => ({
    id: `${name}-${id}`,
    log,
    http,
    endpoints: {
      apiUrl: addresses.apiUrls[0],
      webhookSinkUrl: new URL('/test/responses/204', addresses.paymentsUrl).href,
      carrierWebhookSecret: addresses.carrierWebhookSecret,
      approvalWebhookSecret: addresses.approvalWebhookSecret,
    },
    stopSignal: stopController.signal,
    random: random.fork(id),
  });
  const work = new BackgroundWork();
  let isRunning = true;

  async function runScenarios(client: number): Promise<void> {
    for (let number = 1; isRunning; number += 1) {
      const session = createSession(`${client}-${number}`);
      await session.random.pick(SCENARIOS)(session);
      if (isRunning) await http.pause(session.random.integer(0, maxPauseMs));
    }
  }

  /** Uploads one batch at the start and another one later. */
  async function uploadTwoBatches(): Promise<void> {
    await uploadRestockBatch(createSession('batch-1'), 0, linesPerBatch);
    const [session, orderCount] = [createSession('batch-2'), random.fork('batches').integer(10, 40)];
    while (isRunning && log.orders.length < orderCount) await http.pause(maxPauseMs);
    if (isRunning) await uploadRestockBatch(session, 1, linesPerBatch);
  }

  for (let client = 1; client <= clients; client += 1) work.add(runScenarios(client));
  work.add(uploadTwoBatches());
  // Guarantees repeated and out-of-order callbacks in every run, even in a short one and with any seed.
  work.add(buyWithDisorderedReports(createSession('disordered-reports')));
  for (const edgeCase of directAccess ? Object.keys(EDGE_CASES) : [])
    work.add(runEdgeCase(edgeCase, createSession(edgeCase.replaceAll(' ', '-')), directAccess!));

  const probe = new RecoveryProbe({ createSession, http, work, isRunning: () => isRunning });
  return {
    log,
    waitForCompletedOrder: (deadlineMs) => probe.waitForCompletedOrder(deadlineMs),
    async stop(deadlineMs) {
      isRunning = false;
      const deadline = setTimeout(() => stopController.abort(), deadlineMs);
      await work.settled();
      clearTimeout(deadline);
      stopController.abort();
      if (work.failure) throw work.failure;
      return log;
    },
  };
}

/** The scenarios of the clients. A scenario that occurs more often is more likely. */
const SCENARIOS = [
  ...Array<typeof runOrderScenario>(7).fill(runOrderScenario),
  runCartScenario,
  runCartScenario,
  runApprovalScenario,
];

const emptyLog = (): ClientLog => ({
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
});
