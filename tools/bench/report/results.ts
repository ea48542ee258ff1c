import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../../stack/settings.js';
import type { Figure } from '../measure/figure.js';
import type { Machine } from '../measure/machine.js';

export const RESULTS_PATH = join(checkout, 'docs/performance/results.json');

/** The result of one bench, with time and machine. */
export interface Part {
  /** The date, as `2026-11-23`. */
  date: string;
  commit: string;
  seconds: number;
  /** Load average of the machine over the last minute. */
  load: { before: number; after: number };
  machine: Machine;
  figures: Figure[];
}

/** The newest result of each bench, by its name. */
export type Results = Partial<Record<string, Part>>;

/** The stored results; empty when the file does not exist. */
export async function readResults(path = RESULTS_PATH): Promise<Results> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  return JSON.parse(text) as Results;
}

/** Replaces the results of the benches that ran now and keeps those of the others. */
export function merged(before: Results, now: Results): Results {
  return { ...before, ...now };
}
