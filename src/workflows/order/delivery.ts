import { CancellationScope, condition, sleep } from '@temporalio/workflow';
import { ASK_AGAIN_AFTER_SECONDS, ASK_CARRIER_AFTER_SECONDS, MAX_UNANSWERED_QUESTIONS } from './contract.js';
import type { Parcel } from './parcel.js';

const DAY_MS = 24 * 60 * 60_000;

/** After an outage of the workers many questions are due at the same moment. They are spread over this time. */
const SPREAD_MS = 10 * 60_000;
const LATE_MS = 60 * 60_000;

/** How the carrier's time ended: it answered that nothing has changed, or it did not answer for a day. */
export type Expiry = 'no_news' | 'unanswered';

/**
 * Measures the time that the carrier has. Reports get lost, so the carrier is asked after a day of silence and once more
 * when the time is over. An order that waits for an operator is asked about once a day.
 */
export class DeliveryClock {
  /** Milliseconds since the epoch. */
  dueAt: number;
  /** Set once the time is over and the last question was answered, or was not answered often enough. */
  expiry: Expiry | undefined;
  private heardAt: number;
  private readonly seconds: number;
  private readonly parcel: Parcel;
  /** @returns whether the carrier answered. */
  private readonly ask: () => Promise<boolean>;

  constructor(options: { seconds: number; parcel: Parcel; ask: () => Promise<boolean> }) {
    this.seconds = options.seconds;
    this.parcel = options.parcel;
    this.ask = options.ask;
    this.heardAt = Date.now();
    this.dueAt = this.heardAt + this.seconds * 1000;
  }

  /** Runs until the parcel has a final status. Its timer is not cancelled at the end of the order: that saves an event. */
  start(): void {
    void CancellationScope.nonCancellable(() => this.run());
  }

  /** The carrier said something new. */
  heard(): void {
    this.heardAt = Date.now();
  }

  /** Gives the carrier more time from now on: the order's time unless told otherwise. */
  extend(seconds = this.seconds): void {
    this.dueAt = Date.now() + seconds * 1000;
    this.expiry = undefined;
  }

  /**
   * Compares planned times with each other and not with the clock: what a timer leads to must not depend on a millisecond
   * between the first execution and a replay.
   */
  private async run(): Promise<void> {
    let unanswered = 0;
    let reached = 0;
    while (!this.parcel.isFinal) {
      if (this.expiry) {
        const hasChanged = () => this.expiry === undefined || this.parcel.isFinal;
        const options = { summary: 'Ask the carrier about an overdue parcel' };
        if (!(await condition(hasChanged, ASK_CARRIER_AFTER_SECONDS * 1000, options))) await this.ask();
        continue;
      }
      const askAt = Math.min(this.heardAt + ASK_CARRIER_AFTER_SECONDS * 1000, this.dueAt);
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

/** The latest of the daily questions from `plannedAt` on: one question answers all that an outage of the workers missed. */
export const latestPlanned = (plannedAt: number, now: number): number =>
  plannedAt + Math.max(0, Math.floor((now - plannedAt) / DAY_MS)) * DAY_MS;

async function spread(lateByMs: number): Promise<void> {
  if (lateByMs < LATE_MS) return;
  await sleep(1 + Math.floor(Math.random() * SPREAD_MS), {
    summary: 'Spread questions to the carrier after an outage',
  });
}
