import type { ManagedProcess } from './processes.js';
import { waitUntil, type WaitOptions } from './wait.js';

/**
 * Calls `probe` until it returns a value, and stops waiting when the process exits.
 *
 * @throws when the process exits first (with its last output) or when the timeout passes.
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
