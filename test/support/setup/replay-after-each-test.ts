import { afterAll, afterEach } from 'vitest';
import { closeReplayers, replayAdvancedRuns, takeDifferences } from '../replay/run-tracker.js';

/**
 * After every test, replays each workflow that a worker has advanced. Of workflows with the same sequence of events, it
 * replays only the first. A difference fails the test: after a worker restart, such a workflow would be stuck.
 */
afterEach(async () => {
  await replayAdvancedRuns();
  throwOnDifferences();
});

// Servers replay a last time before they close. Those differences belong to no single test.
afterAll(async () => {
  await closeReplayers();
  throwOnDifferences();
});

function throwOnDifferences(): void {
  const differences = takeDifferences();
  if (differences.length > 0) throw new Error(`Not deterministic, replayed it differs:\n${differences.join('\n')}`);
}
