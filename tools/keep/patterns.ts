/** The workflow patterns of the project. */
export const PATTERNS = ['order', 'cart', 'batch', 'approval'] as const;

export type PatternName = (typeof PATTERNS)[number];

interface Pattern {
  plural: string;
  /** Why the command cannot remove the pattern. Undefined if the command can. */
  neededBecause?: string;
  /** Files and folders that concern only this pattern, but do not carry its name. */
  otherPaths: readonly string[];
}

export const PATTERN_DETAILS: Readonly<Record<PatternName, Pattern>> = {
  order: { plural: 'orders', neededBecause: 'products, payments and deliveries belong to orders', otherPaths: [] },
  cart: { plural: 'carts', otherPaths: [] },
  batch: {
    plural: 'batches',
    otherPaths: [
      'tools/new/kinds/operation.ts',
      'tools/new/templates/operation',
      'tools/bench/benches/fairness.ts',
      'tools/bench/benches/order-locks.ts',
      'docs/reference/performance/fairness.svg',
      'docs/reference/performance/order-locks.svg',
      'test/support/database/applied-items.ts',
    ],
  },
  approval: { plural: 'approvals', neededBecause: 'orders above a limit wait for an approval', otherPaths: [] },
};

/** Applied migrations never change. */
const KEPT_PATHS = /^src\/store\/migrations\//;

/** The singular and the plural of a pattern. */
export const wordsOf = (pattern: PatternName): string[] => [pattern, PATTERN_DETAILS[pattern].plural];

/** Returns whether a file concerns only this pattern: a part of its path carries the name, or the pattern lists the path. */
export function isOwnedBy(file: string, pattern: PatternName): boolean {
  if (KEPT_PATHS.test(file)) return false;
  const words = wordsOf(pattern);
  if (file.split(/[/.-]/).some((word) => words.includes(word))) return true;
  return PATTERN_DETAILS[pattern].otherPaths.some((path) => file === path || file.startsWith(`${path}/`));
}
