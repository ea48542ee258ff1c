import { createHash } from 'node:crypto';

/**
 * A random number generator that depends on its seed alone. A concurrent part of a run uses its own branch, so that its
 * numbers do not depend on timing.
 */
export class SeededRandom {
  readonly #seed: string;
  #state: number;

  constructor(seed: string | number) {
    this.#seed = String(seed);
    this.#state = createHash('sha256').update(this.#seed).digest().readUInt32LE();
  }

  /** A generator whose numbers depend only on this seed and the name, however many numbers were drawn here. */
  fork(name: string | number): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`);
  }

  /** From 0 (included) to 1 (excluded): mulberry32. */
  number(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** An integer, both ends included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.number() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.number() < probability;
  }

  /** Returns one of the choices. @throws when there are none. */
  pick<T>(choices: readonly T[]): T {
    if (choices.length === 0) throw new Error('nothing to choose from');
    return choices[this.integer(0, choices.length - 1)]!;
  }
}
