/** Runs asynchronous handlers one at a time, in order of arrival. */
export class Mutex {
  private tail: Promise<unknown> = Promise.resolve();
  private pendingCount = 0;

  /** Whether one handler runs and no other handler waits. */
  get hasNoWaiters(): boolean {
    return this.pendingCount === 1;
  }

  /** Whether no handler runs or waits. */
  get isIdle(): boolean {
    return this.pendingCount === 0;
  }

  /** Runs `work` after all earlier work has ended, with or without a failure. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.pendingCount += 1;
    const turn = this.tail.then(work, work);
    this.tail = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.pendingCount -= 1;
    }
  }
}
