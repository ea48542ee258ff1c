/** Somebody else, who is alive, holds the lock. */
export class LockHeld extends Error {
  readonly pid: number;
}

/**
 * Takes a lock that lasts until it is released or this process ends. A lock whose owner is gone is taken over.
 *
 * @throws LockHeld when another process, or another part of this one, holds it.
 */
export function takeLock(file: string): Promise<() => void>;

/** Does `work` while holding the lock, waiting for it as long as its owner lives. `onWait` is told once whom for. */
export function withLock<T>(file: string, work: () => Promise<T>, onWait?: (pid: number) => void): Promise<T>;
