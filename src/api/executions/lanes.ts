/** Thrown when the maximum amount of work is already waiting. */
export class LaneFull extends Error {
  override readonly name = 'LaneFull';
}

/** Limits the concurrency for each key. Excess work waits in the order of its arrival, up to a maximum. */
export class Lanes {
  readonly #width: number;
  readonly #room: number;
  readonly #lanes = new Map<string, { busy: number; waiting: (() => void)[] }>();

  constructor(width: number, room = Infinity) {
    this.#width = width;
    this.#room = room;
  }

  /** @throws LaneFull */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(key) ?? { busy: 0, waiting: [] };
    this.#lanes.set(key, lane);
    if (lane.busy < this.#width) lane.busy += 1;
    else if (lane.waiting.length >= this.#room) throw new LaneFull('too many wait');
    else await new Promise<void>((goOn) => lane.waiting.push(goOn));
    try {
      return await work();
    } finally {
      // The next waiting work takes over the slot.
      const next = lane.waiting.shift();
      if (next) next();
      else if (--lane.busy === 0) this.#lanes.delete(key);
    }
  }
}
