import { setMaxListeners } from 'node:events';
import type { BackgroundWork } from './background-work.js';
import type { ClientSession } from './client-session.js';
import type { RetryingClient } from './retrying-client.js';
import { placeOrder, pollOrder } from './scenarios/order-steps.js';

/** The interval between probe orders, and the maximum number of open ones. */
const PROBE_INTERVAL_MS = 500;
const MAX_OPEN_PROBES = 5;

interface RecoveryProbeOptions {
  createSession: (id: string) => ClientSession;
  http: RetryingClient;
  work: BackgroundWork;
  isRunning: () => boolean;
}

/** Measures with small probe orders when the shop completes orders again. */
export class RecoveryProbe {
  readonly #options: RecoveryProbeOptions;
  #probeCount = 0;

  constructor(options: RecoveryProbeOptions) {
    this.#options = options;
  }

  /**
   * Places probe orders until one completes. @returns performance.now() when it completed. @throws after the deadline.
   */
  async waitForCompletedOrder(deadlineMs: number): Promise<number> {
    const { createSession, http, work, isRunning } = this.#options;
    const finished = new AbortController();
    setMaxListeners(0, finished.signal);
    const deadline = setTimeout(() => finished.abort(), deadlineMs);
    let completedAt: number | undefined;
    let openProbes = 0;
    const probe = async (session: ClientSession): Promise<void> => {
      openProbes += 1;
      const orderId = await placeOrder(session);
      const isCompleted = ({ status }: { status: string }) => status === 'completed';
      if (orderId !== undefined && (await pollOrder(session, orderId, isCompleted, finished.signal))) {
        completedAt ??= performance.now();
        finished.abort();
      }
      openProbes -= 1;
    };
    while (!finished.signal.aborted && isRunning()) {
      if (openProbes < MAX_OPEN_PROBES) work.add(probe(createSession(`probe-${(this.#probeCount += 1)}`)));
      await http.pause(PROBE_INTERVAL_MS, finished.signal);
    }
    clearTimeout(deadline);
    if (completedAt === undefined) throw new Error(`no order was completed within ${deadlineMs / 1000} s`);
    return completedAt;
  }
}
