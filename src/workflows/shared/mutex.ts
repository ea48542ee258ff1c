/** Runs asynchronous handlers one at a time, in order of arrival. */
export class Mutex {
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  /** Whether the running handler is the only one. */
  get isLast(): boolean {
    return this.waiting === 1;
  }

  /** Whether no handler runs or waits. */
  get idle(): boolean {
    return this.waiting === 0;
  }

  /** Runs `work` after all earlier work has ended, successfully or not. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.waiting += 1;
    const turn = this.last.then(work, work);
    this.last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.waiting -= 1;
    }
  }
}
