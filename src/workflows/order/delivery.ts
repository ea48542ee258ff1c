import { CancellationScope, condition, sleep } from '@temporalio/workflow';
import { ASK_AGAIN_AFTER_SECONDS, ASK_CARRIER_AFTER_SECONDS, MAX_UNANSWERED_QUESTIONS } from './contract.js';
import type { Parcel } from './parcel.js';

const POLL_EVERY_MS = ASK_CARRIER_AFTER_SECONDS * 1000;

/** After a worker outage, the polls of many orders are due at once. They are spread over this time. */
const SPREAD_MS = 10 * 60_000;
const LATE_MS = 60 * 60_000;

/** Why the carrier's time ended: the carrier reported nothing new, or did not respond for a day. */
export type Expiry = 'no_news' | 'unanswered';

/**
 * Tracks the carrier's time limit. Reports can get lost, so the workflow polls the carrier after a day of silence and
 * when the time is up. While an order waits for an operator, it polls once a day.
 */
export class DeliveryClock {
  /** Milliseconds since the epoch. */
  dueAt: number;
  /** Set when the time is up and the last poll brought no news, or too many polls failed. */
  expiry: Expiry | undefined;
  private heardAt: number;
  private readonly seconds: number;
  private readonly parcel: Parcel;
  /** Polls the carrier. @returns whether the carrier responded. */
  private readonly ask: () => Promise<boolean>;

  constructor(options: { seconds: number; parcel: Parcel; ask: () => Promise<boolean> }) {
    this.seconds = options.seconds;
    this.parcel = options.parcel;
    this.ask = options.ask;
    this.heardAt = Date.now();
    this.dueAt = this.heardAt + this.seconds * 1000;
  }

  /**
   * Runs until the parcel has a final status. The last timer is not cancelled when the order ends, which saves an
   * event.
   */
  start(): void {
    void CancellationScope.nonCancellable(() => this.run());
  }

  /** Restarts the silence period after news from the carrier. */
  heard(): void {
    this.heardAt = Date.now();
  }

  /** Extends the time limit from now, by the order's own limit unless given. */
  extend(seconds = this.seconds): void {
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
        if (!(await condition(hasChanged, POLL_EVERY_MS, options))) await this.ask();
        continue;
      }
      const askAt = Math.min(this.heardAt + POLL_EVERY_MS, this.dueAt);
      if (reached < askAt) {
        await sleep(Math.max(askAt - Date.now(), 1), { summary: 'Silence of the carrier' });
        reached = askAt;
        await spread(Date.now() - askAt);
        continue;
      }
      const isAnswered = await this.ask();
      this.heardAt = Math.max(this.heardAt, latestPlanned(askAt, Date.now()));
      if (reached < this.dueAt || this.parcel.isFinal) continue;
      unanswered = isAnswered ? 0 : unanswered + 1;
      if (isAnswered) this.expiry = 'no_news';
      else if (unanswered > MAX_UNANSWERED_QUESTIONS) this.expiry = 'unanswered';
      else await sleep(ASK_AGAIN_AFTER_SECONDS * 1000, { summary: 'The carrier does not answer' });
    }
  }
}

/** The latest daily poll time since `plannedAt`. One poll replaces all polls missed during a worker outage. */
export const latestPlanned = (plannedAt: number, now: number): number =>
  plannedAt + Math.max(0, Math.floor((now - plannedAt) / POLL_EVERY_MS)) * POLL_EVERY_MS;

async function spread(lateByMs: number): Promise<void> {
  if (lateByMs < LATE_MS) return;
  await sleep(1 + Math.floor(Math.random() * SPREAD_MS), {
    summary: 'Spread questions to the carrier after an outage',
  });
}
