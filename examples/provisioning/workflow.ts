import { TemporalFailure } from '@temporalio/common';
import { proxyActivities, sleep } from '@temporalio/workflow';
import { Saga } from '../../src/workflows/shared/saga.js';
import type { Activities } from './cloud.js';

const { createServer, deleteServer, attachVolume, detachVolume, configureServer, resetConfiguration } =
  proxyActivities<Activities>({
    startToCloseTimeout: '10 seconds',
    // A cancelled step must end before its compensation starts.
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    retry: { maximumAttempts: 3 },
  });

/**
 * Creates a server, attaches a volume and configures the server. If a step fails or the workflow is cancelled, removes
 * everything that may exist, last step first.
 */
export async function provisionServer(serverId: string): Promise<void> {
  const saga = new Saga({ onStuck: retryInAnHour });
  try {
    await saga.runStep(() => createServer(serverId), {
      name: 'delete the server',
      run: () => deleteServer(serverId),
    });
    await saga.runStep(() => attachVolume(serverId), {
      name: 'detach the volume',
      run: () => detachVolume(serverId),
      isBlocking: true,
    });
    await saga.runStep(() => configureServer(serverId), {
      name: 'reset the configuration',
      run: () => resetConfiguration(serverId),
    });
  } catch (error) {
    // Any other error is a bug. It blocks the workflow until a fix is deployed, and must not delete the server.
    if (error instanceof TemporalFailure) await saga.compensate();
    throw error;
  }
}

/** A compensation that has used all its attempts is retried until it succeeds. */
async function retryInAnHour(): Promise<'retry'> {
  await sleep('1 hour', { summary: 'Next attempt of a compensation' });
  return 'retry';
}
