import { afterAll, afterEach } from 'vitest';
import { closeFileReplayers, replayAdvancedRuns, takeDifferences } from '../replay/run-tracker.js';

/**
 * After every test, replays each workflow that a worker has advanced. Replays only one of the workflows with the same
 * event sequence. A difference fails the test, because such a workflow would be stuck after a worker restart.
 */
afterEach(async () => {
  await replayAdvancedRuns();
  throwOnDifferences();
});

// Before a server is closed, its open runs are replayed once more. Their differences fail the file and not a single
// test.
afterAll(async () => {
  await closeFileReplayers();
  throwOnDifferences();
});

function throwOnDifferences(): void {
  const differences = takeDifferences();
  if (differences.length > 0)
    throw new Error(
      `Workflow code is not deterministic; a replay differs from the history:\n${differences.join('\n')}`,
    );
}
