import type { Figure } from './measure/figure.js';

/** A set of claims that are measured together. A bench starts what it needs, and stops it even if it fails. */
export interface Bench {
  /** The name on the command line: `npm run bench -- <name>`. */
  name: string;
  title: string;
  /** Text for the page: what is compared, and how. Markdown without figures, because each run measures them again. */
  about: string;
  run: (effort: Effort) => Promise<Figure[]>;
}

/** The amount of measurements. */
export interface Effort {
  /** Returns the given count; in a quick run about a tenth of it, at least one. */
  take: (count: number) => number;
}

export const full: Effort = { take: (count) => count };
export const quick: Effort = { take: (count) => Math.max(1, Math.round(count / 10)) };
