import { afterAll, beforeAll, beforeEach } from 'vitest';

/**
 * Runs `start` before the tests of the surrounding `describe`, and again before each retry of a test: a time-skipping
 * server that has lost a workflow task cannot be used again. `start` returns the function that stops what it started.
 */
export function beforeAllAndRetries(start: () => Promise<() => Promise<void>>): void {
  let stop: (() => Promise<void>) | undefined;
  const restart = async () => {
    await stop?.();
    stop = undefined;
    stop = await start();
  };
  beforeAll(restart);
  beforeEach(async ({ task }) => {
    if (task.result?.retryCount) await restart();
  });
  afterAll(() => stop?.());
}
