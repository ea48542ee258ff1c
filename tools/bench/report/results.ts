import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../settings/environment.js';
import type { Change } from '../bench.js';
import type { Comparison } from '../measure/comparison.js';
import type { Machine } from '../measure/machine.js';

export const RESULTS_PATH = join(projectRoot, 'docs/reference/performance/results.json');

/** The result of one bench, with its date and machine. */
export interface BenchResult {
  /** The date in the format `2026-11-23`. */
  date: string;
  commit: string;
  seconds: number;
  /** The load average of the machine over the last minute. */
  loadAverage: { before: number; after: number };
  machine: Machine;
  comparisons: Comparison[];
}

/** The newest result of each bench, by bench name. */
export type ResultsByBench = Partial<Record<string, BenchResult>>;

/** Reads the stored results. Returns an empty object when the file does not exist. */
export async function readResults(path = RESULTS_PATH): Promise<ResultsByBench> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  return JSON.parse(text) as ResultsByBench;
}

/** Replaces the results of the benches in `now`. Keeps all other results. */
export function mergeResults(before: ResultsByBench, now: ResultsByBench): ResultsByBench {
  return { ...before, ...now };
}

/** Adds the comparisons of a change to those of other changes. Replaces an earlier comparison of the same change. */
export function addChange(earlier: BenchResult | undefined, now: BenchResult, { name }: Change): BenchResult {
  const others = (earlier?.comparisons ?? []).filter((comparison) => !comparison.name.startsWith(`${name}, `));
  return { ...now, comparisons: [...others, ...now.comparisons] };
}
