import { createHash } from 'node:crypto';

/**
 * A random number generator that depends only on its seed. Concurrent parts of a run each use a fork, so that their
 * numbers do not depend on timing.
 */
export class SeededRandom {
  readonly #seed: string;
  #state: number;

  constructor(seed: string | number) {
    this.#seed = String(seed);
    this.#state = createHash('sha256').update(this.#seed).digest().readUInt32LE();
  }

  /** Returns a generator that depends only on this seed and the name, not on the numbers that were already drawn. */
  fork(name: string | number): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`);
  }

  /** Returns a number from 0 (included) to 1 (excluded). The algorithm is mulberry32. */
  number(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Returns an integer from `min` to `max`, both included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.number() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.number() < probability;
  }

  /** Returns a random choice. @throws when `choices` is empty. */
  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new Error('pick needs at least one choice');
    return choices[this.integer(0, choices.length - 1)]!;
  }
}
