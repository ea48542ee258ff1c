/** Lets asynchronous handlers take turns, in the order in which they arrived. */
export class Mutex {
  private last: Promise<unknown> = Promise.resolve();
  private waiting = 0;

  /** Whoever has the turn now is the only one. */
  get isLast(): boolean {
    return this.waiting === 1;
  }

  /** Nobody has the turn or waits for it. */
  get idle(): boolean {
    return this.waiting === 0;
  }

  /** Runs `work` after all that was handed in before it, whether that went well or not. */
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
