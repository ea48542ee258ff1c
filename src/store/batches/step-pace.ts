import { setTimeout as sleep } from 'node:timers/promises';
import { SQLSTATE, sqlStateOf } from '../postgres/sqlstate.js';

/** The limits of one step: a transaction that applies some items of a chunk. */
export interface StepLimits {
  maxItems: number;
  /** How long the step waits for the lock of a row. */
  lockTimeoutMs: number;
  statementTimeoutMs: number;
}

export interface StepResult {
  itemCount: number;
  /** Whether no items are left. */
  isLast: boolean;
  /** How long the step held the locks of its rows. */
  lockedMs: number;
  /** Whether another transaction, such as an order, waited for the step. */
  isBlocking: boolean;
}

/** A longer step halves the size of the next steps. Orders can wait as long as a step holds its locks. */
const TARGET_LOCKED_MS = 50;
/** The target while orders wait for steps. Short steps need more processor time for each item. */
const CONTENDED_TARGET_LOCKED_MS = 10;
/** How long the shorter target applies after a step blocked an order. */
const CONTENDED_MS = 60_000;

const FIRST_ITEMS = 100;
const MIN_ITEMS = 25;
const MAX_ITEMS = 5_000;
const MAX_CONCURRENT_STEPS = 16;

/** Orders may wait this long for a step that itself waits for a lock. Grows while the same step gets no lock. */
const MIN_LOCK_TIMEOUT_MS = 50;
const MAX_LOCK_TIMEOUT_MS = 1_000;

/** A statement of a step can wait for several locks. The longest timeout is the timeout of all statements. */
const STATEMENT_TIMEOUT_FACTOR = 4;

/** The errors of a step that waits too long, or waits for a transaction that waits for the step. */
const CONFLICTS: readonly (string | undefined)[] = [
  SQLSTATE.lockNotAvailable,
  SQLSTATE.queryCanceled,
  SQLSTATE.deadlockDetected,
];

/**
 * Paces the steps of all chunks in this process, so that orders do not wait long for the locks of batches. Halves the
 * number of items after a step that was slow or got no lock, and runs fewer steps at once. Raises both while steps are
 * fast. After a step has blocked an order, steps are shorter, and each step is followed by an equally long pause.
 */
export class StepPace {
  private maxItems = FIRST_ITEMS;
  private maxConcurrent = MAX_CONCURRENT_STEPS;
  private contendedUntil = 0;
  private running = 0;
  private readonly waiting: (() => void)[] = [];

  /** Runs the steps of one chunk. @throws the conflict, if a step with one item and the longest timeout gets no lock. */
  async runSteps(run: (limits: StepLimits) => Promise<StepResult>, cancellation?: AbortSignal): Promise<void> {
    let chunkMaxItems = MAX_ITEMS;
    let lockTimeoutMs = MIN_LOCK_TIMEOUT_MS;
    for (;;) {
      await this.acquireSlot();
      const maxItems = Math.min(this.maxItems, chunkMaxItems);
      try {
        cancellation?.throwIfAborted();
        const limits = { maxItems, lockTimeoutMs, statementTimeoutMs: lockTimeoutMs * STATEMENT_TIMEOUT_FACTOR };
        const result = await run(limits);
        this.adapt(result, maxItems);
        if (result.isLast) return;
        // The transactions that waited for this step run first.
        if (this.isContended()) await pause(result.lockedMs, cancellation);
        chunkMaxItems = Math.min(maxItems * 2, MAX_ITEMS);
        lockTimeoutMs = MIN_LOCK_TIMEOUT_MS;
        continue;
      } catch (error) {
        const isLastTry = maxItems === 1 && lockTimeoutMs === MAX_LOCK_TIMEOUT_MS;
        if (!CONFLICTS.includes(sqlStateOf(error)) || isLastTry) throw error;
        this.slowDown(maxItems);
      } finally {
        this.releaseSlot();
      }
      // The transactions that waited for this step run first.
      await pause(Math.random() * lockTimeoutMs, cancellation);
      chunkMaxItems = Math.max(1, Math.floor(maxItems / 2));
      lockTimeoutMs = Math.min(lockTimeoutMs * 2, MAX_LOCK_TIMEOUT_MS);
    }
  }

  private adapt({ itemCount, lockedMs, isBlocking }: StepResult, maxItems: number): void {
    if (isBlocking) {
      this.contendedUntil = performance.now() + CONTENDED_MS;
      this.maxItems = Math.min(this.maxItems, FIRST_ITEMS);
      // A step that waits for another step would let orders wait for both.
      this.maxConcurrent = 1;
    }
    const isContended = this.isContended();
    const targetMs = isContended ? CONTENDED_TARGET_LOCKED_MS : TARGET_LOCKED_MS;
    if (lockedMs > targetMs) this.slowDown(itemCount);
    if (lockedMs > targetMs / 2) return;
    if (!isContended) this.maxConcurrent = Math.min(MAX_CONCURRENT_STEPS, this.maxConcurrent + 1);
    if (itemCount === maxItems) this.maxItems = Math.min(MAX_ITEMS, Math.max(this.maxItems, maxItems * 2));
  }

  private isContended(): boolean {
    return performance.now() < this.contendedUntil;
  }

  private slowDown(maxItems: number): void {
    this.maxItems = Math.max(MIN_ITEMS, Math.min(this.maxItems, Math.floor(maxItems / 2)));
    this.maxConcurrent = Math.max(1, Math.floor(this.maxConcurrent / 2));
  }

  private async acquireSlot(): Promise<void> {
    if (this.running < this.maxConcurrent) this.running += 1;
    else await new Promise<void>((resume) => this.waiting.push(resume));
  }

  private releaseSlot(): void {
    this.running -= 1;
    while (this.running < this.maxConcurrent && this.waiting.length > 0) {
      this.running += 1;
      this.waiting.shift()!();
    }
  }
}

/** @throws the reason of the cancellation. */
async function pause(ms: number, cancellation?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: cancellation }).catch(() => cancellation?.throwIfAborted());
}
