/** A set of running promises. Records the first error instead of rejecting. */
export class BackgroundWork {
  readonly #running = new Set<Promise<void>>();
  /** The first error. */
  failure: Error | undefined;

  add(work: Promise<void>): void {
    const settled = work.catch((error: unknown) => {
      this.failure ??= error as Error;
    });
    this.#running.add(settled);
    void settled.then(() => this.#running.delete(settled));
  }

  /** Resolves when all work has ended. Never rejects. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
