import { afterAll, afterEach } from 'vitest';
import { closeReplayers, replayGrown, takeDifferences } from './replays.js';

/**
 * At the end of every test, each workflow that a worker has gone on with is run once more from its history; of
 * those that took the same course, event by event, the first. One that does something else then fails the test: it would
 * have got stuck with the next restart of a worker.
 */
afterEach(async () => {
  await replayGrown();
  expectNoDifference();
});

// Servers look once more before they close; what that found belongs to no test.
afterAll(async () => {
  await closeReplayers();
  expectNoDifference();
});

function expectNoDifference(): void {
  const differences = takeDifferences();
  if (differences.length > 0) throw new Error(`Not deterministic, replayed it differs:\n${differences.join('\n')}`);
}
