import type { ConnectionPlugin } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { describe, inject } from 'vitest';
import { requestInterceptors } from '../../../src/temporal/connections.js';
import { toIndexedValueTypes } from '../../../src/temporal/provisioning.js';
import { SEARCH_ATTRIBUTES } from '../../../src/temporal/search-attributes.js';
import { replayOpenRuns } from '../replay/run-tracker.js';
import type { TemporalServer } from '../shop/shop.js';
import '../replay/track-workers.js';

/**
 * The time-skipping server can lose a workflow task. It then never serves the workflow again and no longer skips time.
 * The cause is a workflow task that cancels an activity or a timer which ends while the task runs: the server rejects
 * the worker's response (`ACTIVITY_UNKNOWN`), but has already marked the task as completed and never times it out
 * (https://github.com/temporalio/sdk-java/issues/3088). A test on this server must not cancel activities that can end
 * at the same moment. The retry is for the cancellations that a test does not control.
 */
const LOST_TASK_RETRIES = 1;

/**
 * Returns the reason why tests on the time-skipping server cannot run on this machine, or undefined if they can run.
 */
export function whyNoTimeSkipping(): string | undefined {
  const found = inject('timeSkippingServer');
  return 'missing' in found ? found.missing : undefined;
}

/**
 * Like `describe`, for tests that need the time-skipping server. If the server is missing, the tests are skipped and
 * the title gives the reason.
 */
export function describeWithTimeSkipping(title: string, define: () => void): void {
  const missing = whyNoTimeSkipping();
  if (missing === undefined) describe(title, { retry: LOST_TASK_RETRIES }, define);
  else describe.skip(`${title} (skipped: ${missing})`, define);
}

/**
 * Starts a time-skipping test server. While a client waits for a result, the server skips the time until the next timer
 * fires.
 */
export async function startTimeSkippingServer(): Promise<TemporalServer & { env: TestWorkflowEnvironment }> {
  const found = inject('timeSkippingServer');
  if ('missing' in found) throw new Error(found.missing);
  const env = await startEnvironment(found.path);
  const namespace = env.namespace ?? 'default';
  // Adds the attributes directly. The setup for real servers lists the existing attributes first, which this server
  // does not support.
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

/** A failed test can leave a call that waits for a retry when the connection closes. */
const closedConnectionPlugin: ConnectionPlugin = {
  name: 'closed-connection',
  configureConnection: (options) => ({ ...options, interceptors: requestInterceptors }),
};

/** Retries the start, because the SDK allows only five seconds and Java can need more on a busy machine. */
async function startEnvironment(path: string, attempts = 10): Promise<TestWorkflowEnvironment> {
  try {
    return await TestWorkflowEnvironment.createTimeSkipping({
      server: { executable: { type: 'existing-path', path } },
      plugins: [closedConnectionPlugin],
    });
  } catch (error) {
    if (attempts === 1 || !/did not start within/.test((error as Error).message)) throw error;
    return await startEnvironment(path, attempts - 1);
  }
}
