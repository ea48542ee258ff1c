import { setMaxListeners } from 'node:events';
import type { BackgroundWork } from './background-work.js';
import type { ClientSession } from './client-session.js';
import type { RetryingClient } from './retrying-client.js';
import { placeOrder, pollOrder } from './scenarios/order-steps.js';

/** How often a probe order is placed, and how many probe orders may be open at once. */
const PROBE_INTERVAL_MS = 500;
const MAX_OPEN_PROBES = 5;

interface RecoveryProbeOptions {
  createSession: (id: string) => ClientSession;
  http: RetryingClient;
  work: BackgroundWork;
  isRunning: () => boolean;
}

/** Measures when the shop completes orders again, by small probe orders. */
export class RecoveryProbe {
  readonly #options: RecoveryProbeOptions;
  #probeCount = 0;

  constructor(options: RecoveryProbeOptions) {
    this.#options = options;
  }

  /** @returns performance.now() when a probe order is completed. @throws after the deadline. */
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
