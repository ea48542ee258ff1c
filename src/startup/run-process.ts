import { constants } from 'node:os';
import { ConfigError } from '../config/errors.js';

/** npm passes on the terminal's Ctrl-C, so one press can arrive twice. */
const DUPLICATE_SIGNAL_MS = 1_000;

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Controls how a process ends. */
export interface ProcessLifecycle {
  /**
   * From this call on, the first SIGINT or SIGTERM calls `stop`, and the process exits after `limitMs` even if `stop`
   * hangs. Before it, a signal ends the process immediately, so that a hanging start can be stopped.
   */
  onStop(stop: (signal: StopSignal) => void | Promise<void>, limitMs: number): void;
}

/**
 * Runs the main function of a process. A failure ends the process with code 1 and is printed: an invalid configuration
 * as its problems, any other error with its stack. A second signal, at least a second after the first, ends the process
 * immediately.
 */
export async function runProcess(main: (lifecycle: ProcessLifecycle) => Promise<void>): Promise<void> {
  let stopping: Parameters<ProcessLifecycle['onStop']> | undefined;
  let stopRequestedAt: number | undefined;
  // Without a handler, the kernel ignores these signals for PID 1 of a container.
  for (const signal of STOP_SIGNALS)
    process.on(signal, () => {
      if (!stopping) process.exit(128 + constants.signals[signal]);
      const [stop, limitMs] = stopping;
      if (stopRequestedAt === undefined) {
        stopRequestedAt = Date.now();
        const onTimeout = () => exitWithError(`did not stop within ${limitMs / 1000} s after ${signal}`);
        setTimeout(onTimeout, limitMs).unref();
        Promise.resolve(stop(signal)).catch(exitWithError);
      } else if (Date.now() - stopRequestedAt > DUPLICATE_SIGNAL_MS)
        exitWithError(`stopped immediately by another ${signal}`);
    });
  try {
    await main({ onStop: (...args) => (stopping = args) });
  } catch (error) {
    exitWithError(error);
  }
}

function exitWithError(error: unknown): never {
  const text = error instanceof ConfigError ? error.message : error instanceof Error ? error.stack : String(error);
  process.stderr.write(`${text}\n`);
  process.exit(1);
}
