import type { Figure } from './figure.js';

/** A set of claims that are measured together. It starts what it needs, and ends it also when it fails. */
export interface Bench {
  /** As it is asked for: `npm run bench -- <name>`. */
  name: string;
  title: string;
  /** For the page: what is compared, and how. Markdown, without figures: those are measured anew. */
  about: string;
  run: (effort: Effort) => Promise<Figure[]>;
}

/** How much is measured. */
export interface Effort {
  /** As many as are wanted; of a quick run a small part of them, at least one. */
  take: (count: number) => number;
}

export const full: Effort = { take: (count) => count };
export const quick: Effort = { take: (count) => Math.max(1, Math.round(count / 10)) };
