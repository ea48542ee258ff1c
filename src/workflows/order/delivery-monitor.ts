import { CancellationScope, condition, sleep } from '@temporalio/workflow';
import { CARRIER_POLL_RETRY_SECONDS, CARRIER_POLL_INTERVAL_SECONDS, MAX_UNANSWERED_POLLS } from './contract.js';
import type { Parcel } from './parcel.js';

const POLL_INTERVAL_MS = CARRIER_POLL_INTERVAL_SECONDS * 1000;

/** After a worker outage, the polls of many orders are due at once. They are spread over this time. */
const MAX_JITTER_MS = 10 * 60_000;
const JITTER_THRESHOLD_MS = 60 * 60_000;

/** Why the carrier's time ended: the carrier reported nothing new, or did not respond for a day. */
export type DeliveryExpiry = 'no_news' | 'unanswered';

/**
 * Tracks the carrier's time limit. Reports can get lost, so the workflow polls the carrier after a day of silence and
 * when the time is up. While an order waits for an operator, it polls once a day.
 */
export class DeliveryMonitor {
  /** Milliseconds since the epoch. */
  dueAt: number;
  /** Set when the time is up and the last poll brought no news, or too many polls failed. */
  expiry: DeliveryExpiry | undefined;
  private lastNewsAt: number;
  private readonly timeoutSeconds: number;
  private readonly parcel: Parcel;
  /** Polls the carrier. @returns whether the carrier responded. */
  private readonly pollCarrier: () => Promise<boolean>;

  constructor(options: { seconds: number; parcel: Parcel; ask: () => Promise<boolean> }) {
    this.timeoutSeconds = options.seconds;
    this.parcel = options.parcel;
    this.pollCarrier = options.ask;
    this.lastNewsAt = Date.now();
    this.dueAt = this.lastNewsAt + this.timeoutSeconds * 1000;
  }

  /**
   * Runs until the parcel has a final status. The last timer is not cancelled when the order ends, which saves an
   * event.
   */
  start(): void {
    void CancellationScope.nonCancellable(() => this.run());
  }

  /** Restarts the silence period after news from the carrier. */
  recordNews(): void {
    this.lastNewsAt = Date.now();
  }

  /** Extends the time limit from now, by the order's own limit unless given. */
  extend(seconds = this.timeoutSeconds): void {
    this.dueAt = Date.now() + seconds * 1000;
    this.expiry = undefined;
  }

  /**
   * Compares planned times with each other, not with the clock. Otherwise a millisecond between the first execution and
   * a replay could change the result of a timer.
   */
  private async run(): Promise<void> {
    let unanswered = 0;
    let reached = 0;
    while (!this.parcel.isFinal) {
      if (this.expiry) {
        const hasChanged = () => this.expiry === undefined || this.parcel.isFinal;
        const options = { summary: 'Ask the carrier about an overdue parcel' };
        if (!(await condition(hasChanged, POLL_INTERVAL_MS, options))) await this.pollCarrier();
        continue;
      }
      const askAt = Math.min(this.lastNewsAt + POLL_INTERVAL_MS, this.dueAt);
      if (reached < askAt) {
        await sleep(Math.max(askAt - Date.now(), 1), { summary: 'Silence of the carrier' });
        reached = askAt;
        await sleepWithJitter(Date.now() - askAt);
        continue;
      }
      const isAnswered = await this.pollCarrier();
      this.lastNewsAt = Math.max(this.lastNewsAt, latestPollTime(askAt, Date.now()));
      if (reached < this.dueAt || this.parcel.isFinal) continue;
      unanswered = isAnswered ? 0 : unanswered + 1;
      if (isAnswered) this.expiry = 'no_news';
      else if (unanswered > MAX_UNANSWERED_POLLS) this.expiry = 'unanswered';
      else await sleep(CARRIER_POLL_RETRY_SECONDS * 1000, { summary: 'The carrier does not answer' });
    }
  }
}

/** The latest daily poll time since `plannedAt`. One poll replaces all polls missed during a worker outage. */
export const latestPollTime = (plannedAt: number, now: number): number =>
  plannedAt + Math.max(0, Math.floor((now - plannedAt) / POLL_INTERVAL_MS)) * POLL_INTERVAL_MS;

async function sleepWithJitter(lateByMs: number): Promise<void> {
  if (lateByMs < JITTER_THRESHOLD_MS) return;
  await sleep(1 + Math.floor(Math.random() * MAX_JITTER_MS), {
    summary: 'Spread questions to the carrier after an outage',
  });
}
