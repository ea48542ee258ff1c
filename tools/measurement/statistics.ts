/** Returns the value below which the given share of the samples lies. `share` is a number from 0 to 1. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

export const median = (samples: readonly number[]): number => percentile(samples, 0.5);

/** Formats a number with separators: `12,345`. */
export const formatCount = (count: number): string => count.toLocaleString('en-US');
