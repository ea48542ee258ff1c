/** Another live owner holds the lock. */
export class LockHeldError extends Error {
  readonly ownerPid: number;
}

/**
 * Takes a lock that lasts until it is released or this process ends. A lock whose owner has ended is taken over.
 *
 * @throws LockHeldError when another process, or another part of this one, holds the lock.
 */
export function acquireLock(file: string): Promise<() => void>;

/**
 * Runs `work` while holding the lock. Waits for the lock as long as its owner lives; calls `onWait` once, with the
 * owner's pid.
 */
export function withLock<T>(file: string, work: () => Promise<T>, onWait?: (pid: number) => void): Promise<T>;
