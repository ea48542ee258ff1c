/**
 * Generates trace and span ids that are the same in a replay. This is a separate file, because the workflow bundle
 * contains it.
 */
export { DeterministicIdGenerator } from '@temporalio/interceptors-opentelemetry-v2/lib/workflow/id-generator.js';
