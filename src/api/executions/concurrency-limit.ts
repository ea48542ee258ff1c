/** Thrown when the maximum amount of work is already waiting. */
export class ConcurrencyQueueFull extends Error {
  override readonly name = 'LaneFull';
}

/** Limits the concurrency for each key. Excess work waits in the order of its arrival, up to a maximum. */
export class ConcurrencyLimit {
  readonly #limit: number;
  readonly #maxWaiting: number;
  readonly #slots = new Map<string, { busy: number; waiting: (() => void)[] }>();

  constructor(width: number, room = Infinity) {
    this.#limit = width;
    this.#maxWaiting = room;
  }

  /** @throws LaneFull */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#slots.get(key) ?? { busy: 0, waiting: [] };
    this.#slots.set(key, lane);
    if (lane.busy < this.#limit) lane.busy += 1;
    else if (lane.waiting.length >= this.#maxWaiting) throw new ConcurrencyQueueFull('too many wait');
    else await new Promise<void>((goOn) => lane.waiting.push(goOn));
    try {
      return await work();
    } finally {
      // The next waiting work takes over the slot.
      const next = lane.waiting.shift();
      if (next) next();
      else if (--lane.busy === 0) this.#slots.delete(key);
    }
  }
}
