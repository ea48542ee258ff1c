/** The value below which a share of the samples lies. */
export function percentile(samples: number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

/** Runs the contenders in turn, `rounds` times, so that all see the same drift; answers milliseconds by name. */
export async function sideBySide<Name extends string>(
  rounds: number,
  contenders: Record<Name, (round: number) => Promise<unknown>>,
): Promise<Record<Name, number[]>> {
  const samples = {} as Record<Name, number[]>;
  const entries = Object.entries(contenders) as [Name, (round: number) => Promise<unknown>][];
  for (const [name] of entries) samples[name] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, run] of entries) {
      const started = performance.now();
      await run(round);
      samples[name].push(performance.now() - started);
    }
  }
  return samples;
}

/** A line of a report: median and spread, and the median and the slowest as ratios to the base's. */
export function line(name: string, samples: number[], base: number[]): string {
  const [p10, p50, p90, p99] = [0.1, 0.5, 0.9, 0.99].map((share) => percentile(samples, share).toFixed(1));
  const ratioAt = (share: number) => (percentile(samples, share) / percentile(base, share)).toFixed(2);
  return `  ${name.padEnd(44)} p50 ${p50} ms (p10 ${p10}, p90 ${p90}, p99 ${p99})   ratio ${ratioAt(0.5)}, of p99 ${ratioAt(0.99)}`;
}
