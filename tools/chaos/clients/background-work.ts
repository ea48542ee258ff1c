/** Work in progress that nobody awaits yet. Keeps the first error. */
export class BackgroundWork {
  readonly #running = new Set<Promise<void>>();
  /** The first error of any work. */
  failure: Error | undefined;

  add(work: Promise<void>): void {
    const settled = work.catch((error: unknown) => {
      this.failure ??= error as Error;
    });
    this.#running.add(settled);
    void settled.then(() => this.#running.delete(settled));
  }

  /** Resolves when no work is left. Never rejects. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }
}
