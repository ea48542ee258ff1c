import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../dev/settings.js';
import type { Figure } from './figure.js';
import type { Machine } from './machine.js';

export const RESULTS_PATH = join(checkout, 'docs/performance/results.json');

/** What one bench found, when and where. */
export interface Part {
  /** The day, as `2026-11-23`. */
  date: string;
  commit: string;
  seconds: number;
  /** The load of the machine, over the last minute. */
  load: { before: number; after: number };
  machine: Machine;
  figures: Figure[];
}

/** The newest part of each bench, by its name. */
export type Results = Partial<Record<string, Part>>;

/** What was found before; nothing when there is no file yet. */
export async function readResults(path = RESULTS_PATH): Promise<Results> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '{}';
    throw error;
  });
  return JSON.parse(text) as Results;
}

/** What was found now takes the place of what the same benches found before; the parts of the others stay. */
export function merged(before: Results, now: Results): Results {
  return { ...before, ...now };
}
