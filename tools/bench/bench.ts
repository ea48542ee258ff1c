import type { Comparison } from './measure/comparison.js';

/** A group of measurements. A bench starts everything that it needs, and stops it even after a failure. */
export interface Bench {
  /** The name on the command line: `npm run bench -- <name>`. */
  name: string;
  title: string;
  /** Markdown for the page: what is compared, and how. Contains no figures, because each run changes them. */
  description: string;
  run: (scale: SampleScale) => Promise<Comparison[]>;
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
