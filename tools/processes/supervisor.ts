import { setTimeout as delay } from 'node:timers/promises';
import type { ExitStatus, ManagedProcess } from './processes.js';
import type { Reporter } from '../terminal/reporter.js';

const maxRestarts = 5;
const restartWindowMs = 60_000;

export interface SupervisedProcess {
  readonly name: string;
  /** The current process. Each restart replaces this process. */
  readonly current: ManagedProcess;
  /** Replaces the process by a new one, also after a failure. Resolves when the old process has exited. */
  restart(graceMs?: number): Promise<void>;
  stop(graceMs?: number): Promise<void>;
  kill(): void;
}

interface SuperviseOptions {
  name: string;
  start: () => Promise<ManagedProcess>;
  /** Whether a process that has exited may be restarted. If not, `onFailure` is called. */
  mayRestart: () => boolean;
  report: Reporter;
  /** Called when the process exits without a stop request and is not restarted. */
  onFailure: (error: Error) => void;
}

/**
 * Starts a process, and restarts it when it exits without a stop request, at most five times a minute.
 *
 * @throws when the first start fails.
 */
export async function supervise({
  name,
  start,
  mayRestart,
  report,
  onFailure,
}: SuperviseOptions): Promise<SupervisedProcess> {
  const deaths: number[] = [];
  let stopping = false;
  let restarting = false;
  let hasFailed = false;
  let current = await start();
  const fail = (error: Error): void => {
    hasFailed = true;
    onFailure(error);
  };

  const watch = async (): Promise<void> => {
    let ended = appendLastOutput(`${name} ended ${describeExit(await current.exited)}`, current);
    for (;;) {
      if (stopping) return;
      if (restarting) restarting = false;
      else {
        deaths.push(Date.now());
        const recent = deaths.filter((at) => at > Date.now() - restartWindowMs).length;
        if (!mayRestart()) return fail(new Error(ended));
        if (recent > maxRestarts)
          return fail(
            new Error(`${name} ended ${recent} times within a minute and is not restarted. Last exit: ${ended}`),
          );
        report.print(`${firstLine(ended)}; starting it again`);
        await delay((recent - 1) * 500);
        if (stopping) return;
      }
      try {
        current = await start();
      } catch (error) {
        ended = (error as Error).message;
        continue;
      }
      if (stopping) await current.stop();
      ended = appendLastOutput(`${name} ended ${describeExit(await current.exited)}`, current);
    }
  };
  let watching = watch();

  return {
    name,
    get current() {
      return current;
    },
    async restart(graceMs) {
      deaths.length = 0;
      if (hasFailed) {
        hasFailed = false;
        current = await start();
        watching = watch();
        return;
      }
      restarting = true;
      await current.stop(graceMs);
    },
    async stop(graceMs) {
      stopping = true;
      await current.stop(graceMs);
      await watching;
    },
    kill() {
      stopping = true;
      current.kill('SIGKILL');
    },
  };
}

function firstLine(text: string): string {
  return text.split('\n')[0]?.replace(/\. Its last lines:$/, '') ?? text;
}

function describeExit({ code, signal }: ExitStatus): string {
  return signal ? `by ${signal}` : `with code ${code}`;
}

function appendLastOutput(what: string, process: ManagedProcess): string {
  const lines = process.lastOutput();
  return lines ? `${what}. Its last lines:\n${lines}` : what;
}
