import { constants } from 'node:os';
import { ConfigError } from '../config/errors.js';

/**
 * A second signal within this time is ignored. npm also forwards the terminal's Ctrl-C, so one press can cause two
 * signals.
 */
const DUPLICATE_SIGNAL_MS = 1_000;

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const;
export type StopSignal = (typeof STOP_SIGNALS)[number];

/** Controls how a process stops. */
export interface ProcessLifecycle {
  /**
   * After this call, the first SIGINT or SIGTERM calls `stop`, and the process exits after `limitMs` even if `stop`
   * hangs. Before this call, a signal ends the process immediately, even if the start hangs.
   */
  onStop(stop: (signal: StopSignal) => void | Promise<void>, limitMs: number): void;
}

/**
 * Runs the main function of a process. If the function fails, prints the error and exits with code 1. An invalid
 * configuration is printed as a list of problems, any other error with its stack. A second signal at least one second
 * after the first signal ends the process immediately.
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
