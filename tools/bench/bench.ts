import type { Comparison } from './measure/comparison.js';

/** A set of claims that are measured together. A bench starts what it needs, and stops it even if it fails. */
export interface Bench {
  /** The name on the command line: `npm run bench -- <name>`. */
  name: string;
  title: string;
  /** Text for the page: what is compared, and how. Markdown without figures, because each run measures them again. */
  description: string;
  run: (effort: SampleScale) => Promise<Comparison[]>;
}

/** The amount of measurements. */
export interface SampleScale {
  /** Returns the given count; in a quick run about a tenth of it, at least one. */
  scale: (count: number) => number;
}

export const fullScale: SampleScale = { scale: (count) => count };
export const quickScale: SampleScale = { scale: (count) => Math.max(1, Math.round(count / 10)) };
