import { FIRST_RETRY_OF_STUCK_SECONDS, LONGEST_RETRY_OF_STUCK_SECONDS } from './contract.js';

/** How long a compensation that has been stuck so many times before waits until it is tried again by itself. */
export const secondsToNextTry = (timesBefore: number): number =>
  Math.min(FIRST_RETRY_OF_STUCK_SECONDS * 2 ** timesBefore, LONGEST_RETRY_OF_STUCK_SECONDS);
