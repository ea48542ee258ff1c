/** Lets asynchronous handlers take turns, in the order in which they arrived. */
export class Mutex {
  private last: Promise<unknown> = Promise.resolve();

  /** Runs `work` after all that was handed in before it, whether that went well or not. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.last.then(work, work);
    this.last = turn.catch(() => undefined);
    return await turn;
  }
}
