import { FIRST_RETRY_OF_STUCK_SECONDS, LONGEST_RETRY_OF_STUCK_SECONDS, MAX_RETRIES_OF_STUCK } from './contract.js';

/** How long a compensation that has been stuck so many times before waits until it is tried again by itself, if it is. */
export const secondsToNextTry = (timesBefore: number): number | undefined =>
  timesBefore < MAX_RETRIES_OF_STUCK
    ? Math.min(FIRST_RETRY_OF_STUCK_SECONDS * 2 ** timesBefore, LONGEST_RETRY_OF_STUCK_SECONDS)
    : undefined;
