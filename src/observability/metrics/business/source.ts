import { withTimeout } from '../../../async/promises.js';
import type { Collector, CollectorContext, GaugeFamily } from './collector.js';

/**
 * The time between the timeout for requests to Temporal and the timeout of the whole read, so that no request is in
 * progress when a read times out.
 */
const TIMEOUT_MARGIN_MS = 1_000;

export interface SourceOptions {
  collect: Collector;
  /** The minimum time from the end of a read to the start of the next read. */
  minPauseMs: number;
  /** After a successful read, the pause is at least this number of times the duration of the read. */
  pauseFactor: number;
  /** The time limit for the requests to Temporal in a read. */
  timeoutMs: number;
}

/** The last read of a source. */
export interface Reading {
  /** Undefined if the read failed. */
  families: GaugeFamily[] | undefined;
  durationMs: number;
  endedAtMs: number;
}

/** One part of the business metrics, with its last values. */
export interface Source {
  lastReading: () => Reading | undefined;
  /** Reads the values again, unless they are recent enough. Concurrent calls share one read. Never rejects. */
  refresh: () => Promise<void>;
  /** Resolves when no read is in progress. */
  settled: () => Promise<void>;
}

/** Creates a source without values. */
export function createSource(options: SourceOptions, context: CollectorContext): Source {
  let last: Reading | undefined;
  let current: Promise<void> | undefined;
  const isRecent = ({ families, durationMs, endedAtMs }: Reading) => {
    const pauseMs = families ? Math.max(options.minPauseMs, options.pauseFactor * durationMs) : options.minPauseMs;
    return performance.now() < endedAtMs + pauseMs;
  };
  const read = async () => {
    const startedAtMs = performance.now();
    const families = await collectInTime(options, context).catch(() => undefined);
    const endedAtMs = performance.now();
    last = { families, durationMs: endedAtMs - startedAtMs, endedAtMs };
  };
  return {
    lastReading: () => last,
    async refresh() {
      if (!current && last && isRecent(last)) return;
      current ??= read().finally(() => (current = undefined));
      await current;
    },
    async settled() {
      await current;
    },
  };
}

/** @throws when the collector fails or takes too long. */
async function collectInTime({ collect, timeoutMs }: SourceOptions, context: CollectorContext): Promise<GaugeFamily[]> {
  const families = context.client.withDeadline(Date.now() + timeoutMs, () => collect(context));
  return await withTimeout(families, timeoutMs + TIMEOUT_MARGIN_MS, () => {
    throw new Error(`the collector did not finish within ${timeoutMs + TIMEOUT_MARGIN_MS} ms`);
  });
}
