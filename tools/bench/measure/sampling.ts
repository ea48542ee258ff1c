import { runConcurrently } from '../../../src/async/concurrency.js';
import { percentile } from '../../measurement/statistics.js';
import { addValue, type ValuesByVariant } from './comparison.js';

type VariantRunners<Name extends string> = Record<Name, (round: number) => Promise<unknown>>;

/**
 * Runs all variants in turn, `rounds` times, so that drift affects all of them equally. Returns the milliseconds of
 * each run by variant.
 */
export async function runInTurn<Name extends string>(
  rounds: number,
  variants: VariantRunners<Name>,
): Promise<Record<Name, number[]>> {
  const samples = {} as Record<Name, number[]>;
  const entries = Object.entries(variants) as [Name, (round: number) => Promise<unknown>][];
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

/** Latencies of calls in milliseconds, by variant: one value per round. */
export interface LatencyValues {
  p50: ValuesByVariant;
  p95: ValuesByVariant;
  max: ValuesByVariant;
}

/** Measures `calls` calls of each variant in each round. One caller makes all calls, and alternates the variants. */
export async function measureLatencies(
  { rounds, calls }: { rounds: number; calls: number },
  variants: VariantRunners<string>,
): Promise<LatencyValues> {
  const latencies: LatencyValues = { p50: {}, p95: {}, max: {} };
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, samples] of Object.entries(await runInTurn(calls, variants))) {
      addValue(latencies.p50, name, percentile(samples, 0.5));
      addValue(latencies.p95, name, percentile(samples, 0.95));
      addValue(latencies.max, name, Math.max(...samples));
    }
  }
  return latencies;
}

/** Runs a function `count` times, at most `limit` at a time. Returns the results in order of completion. */
export async function collectConcurrently<T>(count: number, limit: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  await runConcurrently(count, limit, async () => {
    results.push(await run());
  });
  return results;
}
