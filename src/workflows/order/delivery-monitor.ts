import { CancellationScope, condition, sleep } from '@temporalio/workflow';
import type { Parcel } from './parcel.js';

/** Default time limit for the carrier: 14 days until the pickup, and again 14 days from the pickup to the delivery. */
export const DEFAULT_DELIVERY_TIMEOUT_SECONDS = 14 * 24 * 60 * 60;

/** The workflow polls the carrier after one day without reports, because carriers scan parcels daily. */
export const CARRIER_POLL_INTERVAL_SECONDS = 24 * 60 * 60;

/**
 * If the carrier does not respond when a delivery is due, the workflow polls the carrier every hour for one day. After
 * that, an operator decides.
 */
const CARRIER_POLL_RETRY_SECONDS = 60 * 60;
const MAX_UNANSWERED_POLLS = 24;

const POLL_INTERVAL_MS = CARRIER_POLL_INTERVAL_SECONDS * 1000;

/**
 * Maximum random delay of a late poll. After a worker outage, the polls of many orders are due at the same time; the
 * delay spreads them.
 */
const MAX_JITTER_MS = 10 * 60_000;
const JITTER_THRESHOLD_MS = 60 * 60_000;

/**
 * Why a delivery is overdue. `no_news`: the carrier reported no new status. `unanswered`: the carrier did not respond
 * to polls for one day.
 */
export type DeliveryExpiry = 'no_news' | 'unanswered';

/**
 * Tracks the carrier's time limit. Reports can get lost, so the monitor polls the carrier after one day without reports
 * and when the time limit ends. While an order waits for an operator, the monitor polls once a day.
 */
export class DeliveryMonitor {
  /** When the time limit ends, in milliseconds since the epoch. */
  dueAt: number;
  /** Set when the time limit has ended and the last poll returned no new status, or when too many polls failed. */
  expiry: DeliveryExpiry | undefined;
  private lastNewsAt: number;
  private readonly timeoutSeconds: number;
  private readonly parcel: Parcel;
  /** Polls the carrier. @returns whether the carrier responded. */
  private readonly pollCarrier: () => Promise<boolean>;

  constructor(options: { timeoutSeconds: number; parcel: Parcel; pollCarrier: () => Promise<boolean> }) {
    this.timeoutSeconds = options.timeoutSeconds;
    this.parcel = options.parcel;
    this.pollCarrier = options.pollCarrier;
    this.lastNewsAt = Date.now();
    this.dueAt = this.lastNewsAt + this.timeoutSeconds * 1000;
  }

  /**
   * Runs until the parcel has a final status. When the order ends, the last timer is not cancelled, which saves an
   * event.
   */
  start(): void {
    void CancellationScope.nonCancellable(() => this.run());
  }

  /** Restarts the poll interval after a new status from the carrier. */
  recordNews(): void {
    this.lastNewsAt = Date.now();
  }

  /** Sets the end of the time limit to `seconds` from now. The default is the delivery timeout of the order. */
  extend(seconds = this.timeoutSeconds): void {
    this.dueAt = Date.now() + seconds * 1000;
    this.expiry = undefined;
  }

  /**
   * Compares planned times with each other instead of with the clock. Otherwise, a difference of a millisecond between
   * the first execution and a replay could change the result of a comparison.
   */
  private async run(): Promise<void> {
    let unansweredPolls = 0;
    let reachedAt = 0;
    while (!this.parcel.isFinal) {
      if (this.expiry) {
        const hasChanged = () => this.expiry === undefined || this.parcel.isFinal;
        const options = { summary: 'Next poll of the carrier about an overdue parcel' };
        if (!(await condition(hasChanged, POLL_INTERVAL_MS, options))) await this.pollCarrier();
        continue;
      }
      const pollAt = Math.min(this.lastNewsAt + POLL_INTERVAL_MS, this.dueAt);
      if (reachedAt < pollAt) {
        await sleep(Math.max(pollAt - Date.now(), 1), { summary: 'Next poll of the carrier' });
        reachedAt = pollAt;
        await sleepWithJitter(Date.now() - pollAt);
        continue;
      }
      const isAnswered = await this.pollCarrier();
      this.lastNewsAt = Math.max(this.lastNewsAt, latestPollTime(pollAt, Date.now()));
      if (reachedAt < this.dueAt || this.parcel.isFinal) continue;
      unansweredPolls = isAnswered ? 0 : unansweredPolls + 1;
      if (isAnswered) this.expiry = 'no_news';
      else if (unansweredPolls > MAX_UNANSWERED_POLLS) this.expiry = 'unanswered';
      else await sleep(CARRIER_POLL_RETRY_SECONDS * 1000, { summary: 'Next poll of a carrier that does not respond' });
    }
  }
}

/** Returns the latest daily poll time since `plannedAt`. One poll replaces all polls that a worker outage prevented. */
export const latestPollTime = (plannedAt: number, now: number): number =>
  plannedAt + Math.max(0, Math.floor((now - plannedAt) / POLL_INTERVAL_MS)) * POLL_INTERVAL_MS;

async function sleepWithJitter(lateByMs: number): Promise<void> {
  if (lateByMs < JITTER_THRESHOLD_MS) return;
  await sleep(1 + Math.floor(Math.random() * MAX_JITTER_MS), {
    summary: 'Spread polls of the carrier after an outage',
  });
}
