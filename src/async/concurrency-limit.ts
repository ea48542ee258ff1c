/** Thrown when the queue of waiting work is full. */
export class ConcurrencyQueueFull extends Error {
  override readonly name = 'ConcurrencyQueueFull';
}

interface ConcurrencyLimitOptions {
  maxConcurrent: number;
  /** Default: unlimited. */
  maxWaiting?: number;
}

/** Limits the concurrency for each key. Excess work waits in the order of arrival, up to `maxWaiting`. */
export class ConcurrencyLimit {
  readonly #maxConcurrent: number;
  readonly #maxWaiting: number;
  readonly #slotsByKey = new Map<string, { used: number; waiting: (() => void)[] }>();

  constructor({ maxConcurrent, maxWaiting = Infinity }: ConcurrencyLimitOptions) {
    this.#maxConcurrent = maxConcurrent;
    this.#maxWaiting = maxWaiting;
  }

  /** @throws ConcurrencyQueueFull */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const slots = this.#slotsByKey.get(key) ?? { used: 0, waiting: [] };
    this.#slotsByKey.set(key, slots);
    if (slots.used < this.#maxConcurrent) slots.used += 1;
    else if (slots.waiting.length >= this.#maxWaiting) throw new ConcurrencyQueueFull('too many calls are waiting');
    else await new Promise<void>((resume) => slots.waiting.push(resume));
    try {
      return await work();
    } finally {
      // Hands the slot over to the next waiting work.
      const resumeNext = slots.waiting.shift();
      if (resumeNext) resumeNext();
      else if (--slots.used === 0) this.#slotsByKey.delete(key);
    }
  }
}
