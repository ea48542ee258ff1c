/** Generates trace and span ids that a replay repeats. In a file of its own, because the workflow bundle contains it. */
export { DeterministicIdGenerator } from '@temporalio/interceptors-opentelemetry-v2/lib/workflow/id-generator.js';
