import { TestWorkflowEnvironment } from '@temporalio/testing';
import { describe, inject } from 'vitest';
import { toIndexedValueTypes } from '../../../src/temporal/provisioning.js';
import { SEARCH_ATTRIBUTES } from '../../../src/temporal/search-attributes.js';
import { replayOpenRuns } from '../replay/run-tracker.js';
import type { TemporalServer } from '../shop/shop.js';
import '../replay/track-workers.js';

/**
 * On a busy machine the time-skipping server can stop serving one workflow for ever: the worker responds to a workflow task
 * that cancels activities, and the history shows neither its completion nor its time-out. Another run of the test passes.
 */
const DEADLOCK_RETRIES = 1;

/** The reason why tests on the time-skipping server cannot run on this machine; undefined if they can. */
export function whyNoTimeSkipping(): string | undefined {
  const found = inject('timeSkippingServer');
  return 'missing' in found ? found.missing : undefined;
}

/**
 * Like `describe`, for tests on the time-skipping server. Without one, the tests are skipped and the title says why.
 */
export function describeWithTimeSkipping(title: string, define: () => void): void {
  const missing = whyNoTimeSkipping();
  if (missing === undefined) describe(title, { retry: DEADLOCK_RETRIES }, define);
  else describe.skip(`${title} (skipped, there is no time-skipping server: ${missing})`, define);
}

/** Starts a new time-skipping test server: it skips weeks of waiting while a client awaits a result. */
export async function startTimeSkippingServer(): Promise<TemporalServer & { env: TestWorkflowEnvironment }> {
  const found = inject('timeSkippingServer');
  if ('missing' in found) throw new Error(found.missing);
  const env = await startEnvironment(found.path);
  const namespace = env.namespace ?? 'default';
  // This server cannot list search attributes, so the setup for real servers does not work here.
  await env.connection.operatorService.addSearchAttributes({
    namespace,
    searchAttributes: toIndexedValueTypes(SEARCH_ATTRIBUTES),
  });
  return {
    env,
    client: env.client,
    nativeConnection: env.nativeConnection,
    namespace,
    async close() {
      await replayOpenRuns();
      await env.teardown();
    },
  };
}

/** The SDK gives a server five seconds to start, which java can exceed on a busy machine, so this retries. */
async function startEnvironment(path: string, attempts = 10): Promise<TestWorkflowEnvironment> {
  try {
    return await TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
    });
  } catch (error) {
    if (attempts === 1 || !/did not start within/.test((error as Error).message)) throw error;
    return await startEnvironment(path, attempts - 1);
  }
}
