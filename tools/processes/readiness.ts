import type { ManagedProcess } from './processes.js';
import { waitUntil, type WaitOptions } from './wait.js';

/**
 * Polls a new process with `probe` until it returns a value.
 *
 * @throws with the last output of the process when it ends first, or when the timeout has passed.
 */
export async function waitUntilReady<T>(
  process: ManagedProcess,
  probe: () => Promise<T | undefined> | T | undefined,
  options: Omit<WaitOptions, 'throwIfFailed'>,
): Promise<T> {
  let hasEnded = false;
  void process.exited.then(() => (hasEnded = true));
  const throwIfFailed = (): void => {
    if (hasEnded) throw new Error(`${process.name} ended while starting:\n${process.lastOutput()}`);
  };
  return await waitUntil(probe, { ...options, throwIfFailed });
}
