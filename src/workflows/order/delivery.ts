import { sleep } from '@temporalio/workflow';
import { ASK_CARRIER_AFTER_SECONDS } from './contract.js';

/** What a clock sees of a parcel. */
export interface Delivery {
  arrived: () => boolean;
  /** When the carrier last said something new, in milliseconds since the epoch; 0: never. */
  heardAt: () => number;
  /** Asks the carrier where the parcel is. Does not throw when he cannot be asked. */
  ask: () => Promise<void>;
}

/** Comes to an end when the carrier has had his time. */
export type DeliveryClock = (seconds: number, delivery: Delivery) => Promise<void>;

/** The carrier reports or he does not. */
export const waitForReports: DeliveryClock = (seconds) => sleep(seconds * 1000, { summary: 'Latest delivery' });

/** Reports get lost: a carrier who was silent for long is asked, and once more before his time is over. */
export const askWhenSilent: DeliveryClock = async (seconds, delivery) => {
  const overAt = Date.now() + seconds * 1000;
  let askedAt = Date.now();
  while (!delivery.arrived()) {
    const askAt = Math.min(Math.max(delivery.heardAt(), askedAt) + ASK_CARRIER_AFTER_SECONDS * 1000, overAt);
    if (Date.now() < askAt) {
      await sleep(askAt - Date.now(), { summary: 'Silence of the carrier' });
      continue;
    }
    await delivery.ask();
    if (askAt === overAt) return;
    askedAt = Date.now();
  }
};
