import type { Comparison } from './measure/comparison.js';

/** A group of measurements. A bench starts everything that it needs, and stops it even after a failure. */
export interface Bench {
  /** The name on the command line: `npm run bench -- <name>`. */
  name: string;
  title: string;
  /** Markdown for the page: what is compared, and how. Contains no figures, because each run changes them. */
  description: string;
  run: (scale: SampleScale, change?: Change) => Promise<Comparison[]>;
  /** Whether the bench needs a `Change`. Such a bench runs only when it is named. */
  needsChange?: true;
}

/** A change of this checkout, and the folder of a checkout without the change. */
export interface Change {
  name: string;
  against: string;
}

/** How many samples a run takes. */
export interface SampleScale {
  /**
   * Returns the number of samples for this run. A full run uses `count`; a quick run uses a tenth of it, but at least
   * one.
   */
  scale: (count: number) => number;
}

export const fullScale: SampleScale = { scale: (count) => count };
export const quickScale: SampleScale = { scale: (count) => Math.max(1, Math.round(count / 10)) };
