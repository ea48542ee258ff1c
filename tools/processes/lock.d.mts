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

/** Returns the process id of the process that holds the lock, or undefined if no running process holds the lock. */
export function findLockOwner(file: string): Promise<number | undefined>;

/** Identifies a process even after its process id is reused. Can be stored as JSON. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The start time of the process. Null on systems without `/proc`. */
  readonly started: string | null;
}

export function identifyProcess(pid: number): ProcessIdentity;

/** Whether the process is running. */
export function isRunning(identity: ProcessIdentity): boolean;

/**
 * Runs `work` while holding the lock. Waits while another owner holds the lock, and calls `onWait` once with the
 * owner's pid.
 */
export function withLock<T>(file: string, work: () => Promise<T>, onWait?: (pid: number) => void): Promise<T>;
