/** Thrown when another process, or another part of this process, holds the lock. */
export class LockHeldError extends Error {
  readonly ownerPid: number;
}

/**
 * Acquires a lock and returns the function that releases it. The lock is also released when this process exits. Takes
 * over a lock whose owner process no longer exists.
 *
 * @throws LockHeldError when another process, or another part of this process, holds the lock.
 */
export function acquireLock(file: string): Promise<() => void>;

/**
 * Runs `work` while holding the lock. Waits while another owner holds the lock, and calls `onWait` once with the
 * owner's pid.
 */
export function withLock<T>(file: string, work: () => Promise<T>, onWait?: (pid: number) => void): Promise<T>;
