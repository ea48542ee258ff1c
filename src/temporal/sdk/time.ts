/** Conversions of the SDK's durations and timestamps, which its public API lacks. */
export { msOptionalToNumber, optionalTsToMs, tsToMs } from '@temporalio/common/lib/time.js';
