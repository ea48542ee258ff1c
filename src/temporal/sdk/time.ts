/** Re-exports conversions of durations and timestamps that are missing in the SDK's public API. */
export { msOptionalToNumber, optionalTsToMs, tsToMs } from '@temporalio/common/lib/time.js';
