import { percentile } from '../../measurement/statistics.js';
import { addValue, type ValuesByVariant } from './comparison.js';

type VariantRunners<Name extends string> = Record<Name, (round: number) => Promise<unknown>>;

/**
 * Runs the contenders in turn, `rounds` times, so that drift affects all of them equally. Returns milliseconds by name.
 */
export async function runInTurn<Name extends string>(
  rounds: number,
  contenders: VariantRunners<Name>,
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

/** Latencies of calls in milliseconds: one value per round, by the contender's name. */
export interface LatencyValues {
  p50: ValuesByVariant;
  max: ValuesByVariant;
}

/** One caller makes `calls` calls of each contender in each round, in turn. */
export async function measureLatencies(
  { rounds, calls }: { rounds: number; calls: number },
  contenders: VariantRunners<string>,
): Promise<LatencyValues> {
  const felt: LatencyValues = { p50: {}, max: {} };
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, samples] of Object.entries(await runInTurn(calls, contenders))) {
      addValue(felt.p50, name, percentile(samples, 0.5));
      addValue(felt.max, name, Math.max(...samples));
    }
  }
  return felt;
}

/** Runs a function `count` times, `atOnce` at a time. Returns the results in order of completion. */
export async function runConcurrently<T>(count: number, atOnce: number, run: () => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) results.push(await run());
    }),
  );
  return results;
}
